"""A browser, really driven: what a person sees while an app wakes, when it fails, and afterwards."""

import contextlib
import json
from typing import Iterator

from lib import docker
from lib.browser import DESKTOP, PHONE, SCHEMES, Browser, Page
from lib.docker import Events
from lib.peers import Proxy, names_of
from lib.scenario import say, scenario
from lib.setup import enable, write_app, write_config
from lib.system import run, want

DEEP = "/a/headers?x=1&y=%20z"
FRAGMENT = "#part-2"
SHOTS = "/var/screenshots"

SLOW = {"START_DELAY": 2500}  # long enough to look at
BROKEN = {"NEVER": 1, "EXIT_AFTER": 100, "EXIT_STATUS": 3}

RETRY = "button:enabled, a.button[href]"

# Of everything that has text: how far its colour is from what is behind it (WCAG 2.1, 1.4.3), and
# whether it is wider than the screen.
LOOKS = """(() => {
    const parse = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = element => {
        for (; element; element = element.parentElement) {
            const colour = parse(getComputedStyle(element).backgroundColor);
            if (colour.length < 4 || colour[3] === 1) return colour;
        }
        return matchMedia("(prefers-color-scheme: dark)").matches &&
            getComputedStyle(document.documentElement).colorScheme.includes("dark")
            ? [18, 18, 18] : [255, 255, 255];
    };
    const worst = { contrast: 21, text: "" };
    for (const element of document.body.querySelectorAll("*")) {
        const own = [...element.childNodes].filter(n => n.nodeType === 3 && n.data.trim());
        if (!own.length || !element.checkVisibility()) continue;
        const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < worst.contrast) Object.assign(worst, { contrast, text: own[0].data });
    }
    const page = document.documentElement;
    return { worst, wide: page.scrollWidth - innerWidth, dark: light(behind(document.body)) < 0.2,
             lang: page.lang, title: document.title,
             live: document.querySelectorAll("[aria-live], [role=status], [role=alert]").length };
})()"""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser on a network that holds still.

    A container that starts gives Docker's interfaces new link-local addresses, for which Chromium
    drops its connections: ERR_NETWORK_CHANGED.
    """
    def keep_addresses(fixed: bool) -> None:
        for name in ("default", "docker0"):
            with open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "w") as file:
                file.write(str(int(fixed)))

    keep_addresses(True)
    try:
        with Browser() as browser:
            yield browser
    finally:
        keep_addresses(False)


def sleeping_app(name: str, **environment: object) -> None:
    docker.create(name, **environment)
    write_app(name, wait={"mode": "page", "title": f"Our {name}"})


def blog(**environment: object) -> None:
    write_config({"front": {"exit_idle": "200ms", "trusted_proxies": "127.0.0.1"},
                  "defaults": {"idle_timeout": "1h"}})
    sleeping_app("blog", **environment)
    names_of(["blog", "wiki"])
    enable()


def mend() -> None:
    """The same container without its fault, as an administrator would make it anew."""
    docker.request("DELETE", "/containers/blog?force=1&v=1")
    docker.create("blog")


def origin(port: int) -> str:
    return "http://blog.test" + (f":{port}" if port != 80 else "")


def want_waiting_page(page: Page) -> None:
    want(page.documents and page.documents[-1][1] == 503, f"no waiting page: {page.documents}")
    page.wait_text("Our blog")


def want_arrived(page: Page, port: int = 80, fragment: str = FRAGMENT) -> None:
    """The app's own answer, at the address that was asked for from the beginning."""
    page.wait_text(f"GET {DEEP} HTTP/1.1")
    want(page.documents[-1][1] == 200, f"answers: {page.documents}")
    want(page.address() == origin(port) + DEEP + fragment, f"ended at {page.address()}")


def want_kept_to_itself(page: Page, port: int = 80) -> None:
    """No request to anywhere else, and nothing that its own policy had to forbid."""
    elsewhere = [address for address in page.requests
                 if not address.startswith(origin(port) + "/") and address != "about:blank"]
    want(not elsewhere, f"asked elsewhere: {elsewhere}")
    want(not page.errors, f"complaints: {page.errors}")


def see_it_through(page: Page, port: int = 80) -> None:
    """From asleep to the app, watching."""
    with Events("blog") as events:
        page.open(origin(port) + DEEP + FRAGMENT)
        want_waiting_page(page)
        pages = len(page.documents)
        seen = {page.text()}
        while len(seen) < 3:  # it changes under the person's eyes, without another load
            page.wait(f"!{json.dumps(sorted(seen))}.includes(document.body.innerText)",
                      "the page shows no progress")
            want(len(page.documents) == pages, f"it was loaded anew: {page.documents}")
            seen.add(page.text())
        want_arrived(page, port)
        want(len(page.documents) == pages + 1, f"more pages than needed: {page.documents}")
        want(page.value("history.length") <= 2, "the waiting page is left behind in the history")
        want(events.count("start") == 1, f"events: {events.seen()}")
    want_kept_to_itself(page, port)


@scenario("browser-waits")
def waits() -> None:
    blog(**SLOW)
    with chromium() as browser:
        see_it_through(browser.page())


@scenario("browser-waits-behind-proxies")
def waits_behind() -> None:
    """Progress comes through the proxies that people put in front, though they like to buffer."""
    blog(**SLOW)
    with chromium() as browser:
        for kind in ("nginx", "haproxy", "caddy"):
            with Proxy(kind) as proxy:
                run("dockwake", "sleep", "blog")
                see_it_through(browser.page(), proxy.port)


@scenario("browser-without-scripts")
def without_scripts() -> None:
    """Without a fragment: Chromium does not load an address again that has one, when told by <meta>."""
    blog(**SLOW)
    with chromium() as browser:
        page = browser.page(scripts=False)
        page.open(origin(80) + DEEP)
        want_waiting_page(page)
        want_arrived(page, fragment="")
        want_kept_to_itself(page)


def press_retry(page: Page, events: Events) -> None:
    """Until something comes of it: right after a failure there may be no new try."""
    starts, pages = events.count("start"), -1

    def pressed() -> bool:
        nonlocal pages
        if events.count("start") > starts:
            return True
        if len(page.documents) > pages and page.value(
                f"Boolean(document.querySelector({json.dumps(RETRY)}))"):
            pages = len(page.documents)  # the next press waits for the answer to this one
            page.click(RETRY)
        return False

    page.until(pressed, "there is no new try", 30)


def fail_and_retry(page: Page, fragment: str) -> None:
    with Events("blog") as events:
        page.open(origin(80) + DEEP + fragment)
        page.wait_text("exited with status 3")
        press_retry(page, events)
        events.wait("die")
        page.wait_text("exited with status 3")
        mend()
    with Events("blog") as events:
        press_retry(page, events)
        want_arrived(page, fragment=fragment)
    want_kept_to_itself(page)


@scenario("browser-failure-and-retry")
def failure() -> None:
    """The reason, and a button: in vain while it is broken, well once it is mended."""
    blog(**BROKEN)
    with chromium() as browser:
        fail_and_retry(browser.page(), FRAGMENT)


@scenario("browser-failure-without-scripts")
def failure_without_scripts() -> None:
    """The reason stands in the page; the way to try again is a link or a form."""
    blog(**BROKEN)
    with chromium() as browser:
        fail_and_retry(browser.page(scripts=False), "")


def all_looks(browser: Browser) -> Iterator[tuple[str, Page]]:
    for size_name, size in (("phone", PHONE), ("desktop", DESKTOP)):
        for scheme in SCHEMES:
            page = browser.page(size, scheme)
            yield f"{size_name}-{scheme}", page
            page.close()


def want_good_looks(page: Page, name: str) -> None:
    looks = page.value(LOOKS)
    want(looks["worst"]["contrast"] >= 4.5, f"{name}: hard to read: {looks['worst']}")
    want(looks["wide"] <= 0, f"{name}: {looks['wide']} pixels wider than the screen")
    want(looks["dark"] == name.endswith("dark"), f"{name}: the wrong colours")
    want(looks["lang"] and looks["title"] and looks["live"] > 0, f"{name}: {looks}")


@scenario("browser-looks")
def looks() -> None:
    """Narrow and wide, light and dark; `make check` leaves the pictures in build/screenshots."""
    blog(START_DELAY=600000)
    sleeping_app("wiki", **BROKEN)
    with chromium() as browser:
        for name, page in all_looks(browser):
            page.open(origin(80) + DEEP)
            want_waiting_page(page)
            want_good_looks(page, name)
            page.screenshot(f"{SHOTS}/waiting-{name}.png")
        for name, page in all_looks(browser):
            page.open("http://wiki.test/")
            page.wait_text("exited with status 3")
            want_good_looks(page, f"failed-{name}")
            page.screenshot(f"{SHOTS}/failed-{name}.png")


ASK_MANY = """(async () => {
    const name = location.hostname.split(".")[0];
    let right = 0, lost = [];
    await Promise.all(Array.from({ length: 8 }, async (_, lane) => {
        for (let number = 0; number < COUNT / 8; number++) {
            const path = `/headers?id=browser-${name}-${lane}-${number}`;
            try {
                const answer = await fetch(path);
                const servers = (answer.headers.get("server") || "").split(/[ ,]+/);
                const text = await answer.text();
                right += answer.ok && servers.includes(name) &&
                    text.startsWith(`GET ${path} HTTP/1.1`);
            } catch (error) {
                lost.push(`${path}: ${error}`);
            }
        }
    }));
    return [right, lost];
})()"""


@scenario("browser-two-apps-behind-proxies")
def two_apps() -> None:
    """Tabs of two apps at once, on the connections that the proxy shares between them."""
    count = 400
    blog()
    docker.create("wiki")
    write_app("wiki")
    with chromium() as browser:
        for kind in ("nginx", "haproxy", "caddy"):
            run("dockwake", "sleep", "wiki")
            with Proxy(kind) as proxy:
                tabs = []
                for app in ("blog", "wiki"):
                    tab = browser.page()
                    tab.open(f"http://{app}.test:{proxy.port}/")
                    tab.wait_text(f"hello from {app}")
                    tabs.append(tab)
                expression = ASK_MANY.replace("COUNT", str(count))
                for tab in tabs:
                    tab.value(f"void (window.right = {expression})")
                right = [tab.value("window.right") for tab in tabs]
                want(right == [[count, []]] * 2, f"behind {kind}: {right} of {count} right each; "
                                                 f"{tabs[0].failures} {tabs[1].failures}")
    say(f"{count} right answers in each of two tabs behind each proxy")
