#!/usr/bin/env python3
"""The waiting page alone, in Chromium: `make page`. Output: TAP.

With SHOTS=FOLDER it leaves pictures there; with AXE=axe.min.js it has that look for faults of
accessibility.
"""

import contextlib
import os
import sys
from typing import Iterator

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../.."), os.path.join(HERE, "../../../machine")]
from lib.browser import DESKTOP, PHONE, SCHEMES, Browser, Page  # noqa: E402
from stand_in import EVENTS, LOGS, StandIn, render, stand_in  # noqa: E402
from tap import case, main  # noqa: E402

DEEP = "/a/b%20c?x=1&y=%20z"
FRAGMENT = "#part-2"
REASON = "exited with status 3"
BROWSER = Browser()


@contextlib.contextmanager
def opened(front: StandIn, target: str = DEEP + FRAGMENT, **options: object) -> Iterator[Page]:
    """The page; at the end nothing may have gone elsewhere, and nothing been complained of."""
    page = BROWSER.page(**options)
    try:
        page.open(front.origin + target)
        yield page
        elsewhere = [a for a in page.requests if not a.startswith((front.origin + "/", "data:"))]
        assert not elsewhere, elsewhere
        assert not [e for e in page.errors if "status of" not in e], page.errors
    finally:
        page.close()


def says(page: Page, text: str) -> None:
    page.wait(f"document.querySelector('#now').textContent.startsWith({text!r})", f"no {text}")


def arrived(page: Page, front: StandIn, target: str = DEEP + FRAGMENT) -> None:
    page.wait_text("the app")
    assert page.address() == front.origin + target, page.address()


@case
def progress_moves_and_ends_at_the_same_address():
    with stand_in(elapsed=70) as front, opened(front) as page:
        page.wait_text("Waking up")
        assert "Our blog" in page.text() and "1 min 1" in page.text(), page.text()
        assert page.value("document.title") == "Waking up · Our blog"
        front.wait_follower()
        assert EVENTS + "?for=%2Fa%2Fb%2520c" in front.asked, front.asked
        seen = page.text()
        page.wait(f"document.body.innerText !== {seen!r}", "the time stands still")
        for state, text in (("starting", "Starting"), ("probing", "Checking whether")):
            front.tell(state=state, elapsed=75.5)
            says(page, text)
            assert page.value("document.querySelector('main').dataset.state") == state
            assert text in page.value("document.title")
        assert front.statuses == [503], front.statuses
        front.wake_up()
        arrived(page, front)
        assert front.statuses == [503, 200], front.statuses
        assert page.value("history.length") <= 2


def at_its_fragment(target: str) -> None:
    with stand_in() as front, opened(front, target) as page:
        front.app_page = (b"<!DOCTYPE html><h1>the app</h1><p style='height: 5000px'>"
                          b"<h2 id=part-2>part 2</h2><p style='height: 5000px'>")
        front.wait_follower()
        front.wake_up()
        arrived(page, front, target)
        page.wait("scrollY > 1000", "it stands at its top")
        assert front.statuses == [503, 200] and page.value("history.length") <= 2


@case
def the_app_is_shown_at_the_fragment():
    """As if it had been awake: not at its top, where the waiting page stood."""
    for target in (DEEP + FRAGMENT, "/?" + FRAGMENT, "/" + FRAGMENT):
        at_its_fragment(target)


@case
def a_failure_while_it_waits():
    with stand_in() as front, opened(front) as page:
        front.wait_follower()
        front.tell(reason=f"{REASON} <b>&amp;", retry_after=2)
        page.wait_text(f"{REASON} <b>&amp;")
        assert "did not wake up" in page.text()
        page.wait("document.querySelector('#retry').disabled", "no time to wait")
        page.wait_text("Try again in 1 s")
        page.wait("!document.querySelector('#retry').disabled", "the button stays disabled")
        assert front.statuses == [503], front.statuses
        del front.page["reason"]
        page.click("#retry")
        front.wait(lambda: front.statuses == [503, 503])
        front.wait_follower()
        front.wake_up()
        arrived(page, front)


@case
def a_failure_from_the_beginning():
    with stand_in(reason=REASON, retry_after=0) as front, opened(front) as page:
        page.wait_text(REASON)
        page.wait("!document.querySelector('#retry').disabled", "the button is disabled")
        assert front.asked[0] == DEEP and EVENTS not in " ".join(front.asked)
        page.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", windowsVirtualKeyCode=9)
        page.wait("document.activeElement.id === 'retry'", "the keyboard does not reach it")
        assert page.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        front.page = None
        page.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", text="\r",
                  windowsVirtualKeyCode=13)
        arrived(page, front)


@case
def without_scripts_it_refreshes_itself():
    with stand_in() as front, opened(front, DEEP, scripts=False) as page:
        page.wait_text("Look now")
        front.page["state"] = "starting"
        says(page, "Starting")
        front.page = None
        arrived(page, front, DEEP)
        assert EVENTS not in " ".join(front.asked)


@case
def without_scripts_a_failure_stands_still_until_the_link_is_followed():
    with stand_in(reason=REASON, retry_after=5) as front, \
            opened(front, DEEP, scripts=False) as page:
        page.wait_text(REASON)
        assert not page.value("document.querySelector('meta[http-equiv=refresh]')")
        assert not page.value("document.querySelector('#retry').checkVisibility()")
        front.page = None
        page.click("a.button")
        arrived(page, front, DEEP)


@case
def events_refused():
    with stand_in() as front:
        front.events = "refuse"
        with opened(front) as page:
            front.wait(lambda: len(front.statuses) >= 2)
            front.page = None
            arrived(page, front)


@case
def events_kept_back():
    """As a proxy does that waits for the end of an answer."""
    with stand_in() as front:
        front.events = "hang"
        with opened(front) as page:
            front.wait_follower()
            front.page = None
            arrived(page, front)


@case
def a_stream_that_breaks_is_taken_up_again():
    with stand_in() as front, opened(front) as page:
        front.wait_follower()
        front.tell(state="starting")
        says(page, "Starting")
        front.end_streams()
        front.wait(lambda: sum(EVENTS in target for target in front.asked) == 2)
        front.wait_follower()
        front.wake_up()
        arrived(page, front)
        assert front.statuses == [503, 200], front.statuses


@case
def the_log_is_text():
    with stand_in(logs=1) as front, opened(front) as page:
        front.wait_follower()
        assert LOGS not in " ".join(front.asked), "read though nobody looks"
        front.log = b"<img src=//elsewhere.test/ onerror=alert(1)>\nsecond\n"
        page.click("summary")
        page.wait_text("onerror=alert(1)")
        front.log += b"third\n"
        page.wait_text("third")
        assert not page.value("document.querySelector('img')")
    with stand_in() as front, opened(front) as page:
        page.wait_text("Our blog")
        assert not page.value("document.querySelector('details')")


HOSTILE = "</title></script></main><script>alert(1)</script>\"'`${1}&amp;\\ \u202e {{reason}}"


@case
def what_is_hostile_is_text():
    with stand_in(title=HOSTILE, reason=HOSTILE, app=HOSTILE) as front, opened(front) as page:
        page.wait_text("did not wake up")
        want = HOSTILE.replace("\u202e", " ")
        for selector in ("h1", "#reason"):
            got = page.value(f"document.querySelector('{selector}').textContent")
            assert got == want, got
        assert page.value("document.scripts.length") == 1
        assert page.value("document.querySelectorAll('main').length") == 1


OWN = ("<!DOCTYPE html><title>{{title}}</title><style>p { color: rgb(1, 2, 3) }</style>"
       "<p>mine: {{state}} {{unknown}}</p><img src='https://elsewhere.test/x.png'>")
OWN_LIVE = OWN.replace("<img src='https://elsewhere.test/x.png'>", """<script>
const events = new EventSource("/_dockwake/events?for=" + encodeURIComponent(location.pathname));
events.addEventListener("progress", event =>
    document.querySelector("p").textContent = JSON.parse(event.data).message);
events.addEventListener("ready", () => location.reload());
</script>""")


@case
def an_own_page():
    """One that knows nothing of waiting goes on all the same, and reaches nobody else."""
    with stand_in(html=OWN) as front:
        page = BROWSER.page()
        page.open(front.origin + DEEP + FRAGMENT)
        page.wait_text("mine: asleep {{unknown}}")
        assert page.value("getComputedStyle(document.querySelector('p')).color") == "rgb(1, 2, 3)"
        assert any("Content Security Policy" in error for error in page.errors), page.errors
        front.page = None
        arrived(page, front)
        page.close()
    with stand_in(html="<p>mine") as front, opened(front, DEEP, scripts=False) as page:
        page.wait_text("mine")
        front.page = None
        arrived(page, front, DEEP)
    with stand_in(html="<p>mine", reason=REASON) as front, opened(front) as page:
        page.wait_text("mine")
        assert page.value("document.scripts.length") == 0
    with stand_in(html=OWN_LIVE) as front, opened(front) as page:
        front.wait_follower()
        front.tell(state="probing")
        page.wait_text("Checking whether")
        front.wake_up()
        arrived(page, front)


WIDER = "document.documentElement.scrollWidth - innerWidth"
LONG = "Grafana of the whole house, the garden and the_unbreakable_shed_behind_the_greenhouse"


@case
def nothing_is_wider_than_the_screen():
    for size in ((320, 568), PHONE, DESKTOP):
        for page in ({"state": "probing"}, {"reason": "x" * 250, "retry_after": 3}):
            with stand_in(**{**page, "title": LONG}) as front, opened(front, size=size) as tab:
                tab.wait_text("Grafana")
                assert tab.value(WIDER) <= 0, (size, page, tab.value(WIDER))


@case
def no_motion_for_those_who_want_none():
    with stand_in() as front, opened(front) as page:
        page.wait_text("Waking up")
        assert page.value("document.getAnimations().length") > 0
        page.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
        page.wait("!document.getAnimations().length", "something still moves")


LOG = b"".join(b"2026-11-23T04:00:%02dZ level=info msg=\"migration %d of 12 done\"\n" % (n, n)
               for n in range(1, 13))
LOOKS = {
    "waiting": {"state": "starting", "elapsed": 4},
    "checking": {"state": "probing", "elapsed": 9},
    "failed": {"reason": "not ready within 1min: connection refused at 172.17.0.4:3000",
               "retry_after": 0},
    "soon": {"reason": REASON, "retry_after": 600},
    "log": {"state": "probing", "elapsed": 12, "logs": 1},
}


def looks() -> Iterator[tuple[str, Page]]:
    for name, values in LOOKS.items():
        for size_name, size in (("phone", PHONE), ("desktop", DESKTOP)):
            for scheme in SCHEMES:
                with stand_in(**values) as front, \
                        opened(front, size=size, scheme=scheme) as page:
                    front.log = LOG
                    page.wait_text("Our blog")
                    if "logs" in values:
                        page.click("summary")
                        page.wait_text("of 12 done")
                    page.value("Promise.all(document.getAnimations().filter(animation => "
                               "animation instanceof CSSTransition).map(a => a.finished))"
                               ".then(() => 0)")
                    yield f"{name}-{size_name}-{scheme}", page


@case
def it_is_accessible_and_looks_good():
    axe = open(os.environ["AXE"]).read() if "AXE" in os.environ else ""
    for name, page in looks():
        if "SHOTS" in os.environ:
            page.screenshot(os.path.join(os.environ["SHOTS"], name + ".png"))
        if axe:
            page.value(axe + "; 0")
            found = page.value("axe.run().then(r => r.violations.map(v => [v.id, v.help, "
                               "v.nodes.map(n => n.html)]))")
            assert not found, (name, found)


if __name__ == "__main__":
    assert b"</html>" in render("page")
    with BROWSER:
        status = main()
    sys.exit(status)
