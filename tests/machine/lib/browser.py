"""Chromium, headless, as a person at a screen: opens an address, looks, clicks.

It is driven over the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/) through
two pipes, which is what --remote-debugging-pipe reads and writes: JSON, each message ended by a NUL.
Every page has a profile of its own, and keeps what it asked for and what it was answered.
"""

import base64
import fcntl
import json
import os
import subprocess
import tempfile
import threading
import time
from typing import Callable

from .system import Wrong, want

PROGRAM = "chromium-headless-shell"
# As root there is no sandbox to be had; the machine is one.
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--hide-scrollbars", "--remote-debugging-pipe")

PHONE = (390, 844)
DESKTOP = (1280, 800)
SCHEMES = ("light", "dark")

PIPES = (3, 4)
CALL_SECONDS = 30


class Browser:
    """As a context."""

    def __enter__(self) -> "Browser":
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        self._log = open(os.path.join(self._folder.name, "log"), "w+")

        def pass_pipes() -> None:
            """Where Chromium looks for them: it reads 3 and writes 4."""
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (commands, answers)]
            for fd, place in zip(high, PIPES):
                os.dup2(fd, place)

        self._process = subprocess.Popen(
            [PROGRAM, *FLAGS, f"--user-data-dir={self._folder.name}/profile", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, pass_fds=PIPES,
            preexec_fn=pass_pipes, env=dict(os.environ, HOME=self._folder.name))
        os.close(commands)
        os.close(answers)
        self._number = 0
        self._replies: dict[int, dict] = {}
        self._pages: dict[str, Page] = {}
        self._over = False
        self.change = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._commands)  # it ends with its pipe
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(10)
        os.close(self._answers)
        self._log.close()
        self._folder.cleanup()

    def _read(self) -> None:
        rest = b""
        while data := os.read(self._answers, 1 << 20):
            *messages, rest = (rest + data).split(b"\0")
            with self.change:
                for message in messages:
                    self._take(json.loads(message))
                self.change.notify_all()
        with self.change:
            self._over = True
            self.change.notify_all()

    def _take(self, message: dict) -> None:
        page = self._pages.get(message.get("sessionId", ""))
        if "id" in message:
            self._replies[message["id"]] = message
        elif page is not None:
            page.take(message["method"], message["params"])

    def call(self, method: str, session: str = "", **params: object) -> dict:
        """Asks Chromium for something, and gives what it answers."""
        with self.change:
            self._number += 1
            number = self._number
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        with self.change:
            self.change.wait_for(lambda: number in self._replies or self._over, CALL_SECONDS)
            reply = self._replies.pop(number, None)
        if reply is None:
            self._log.seek(0)
            raise Wrong(f"Chromium did not answer {method}: {self._log.read()[-1000:]}")
        want("error" not in reply, f"Chromium: {method}: {reply.get('error')}")
        return reply["result"]

    def page(self, size: tuple[int, int] = DESKTOP, scheme: str = "light",
             scripts: bool = True) -> "Page":
        """An empty page in a profile of its own."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank",
                           browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, context)
        with self.change:
            self._pages[session] = page
        page.prepare(size, scheme, scripts)
        return page


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str, context: str) -> None:
        self._browser = browser
        self._session = session
        self._context = context
        self.requests: list[str] = []                # addresses, in order
        self.documents: list[tuple[str, int]] = []   # address and status of each page that came
        self.failures: list[str] = []                # requests that got no whole answer
        self.errors: list[str] = []                  # what its scripts and its policy complained of

    def prepare(self, size: tuple[int, int], scheme: str, scripts: bool) -> None:
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1],
                  deviceScaleFactor=1, mobile=size[0] < 600)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])
        if not scripts:
            self.call("Emulation.setScriptExecutionDisabled", value=True)

    def close(self) -> None:
        self._browser.call("Target.disposeBrowserContext", browserContextId=self._context)

    def call(self, method: str, **params: object) -> dict:
        return self._browser.call(method, self._session, **params)

    def take(self, method: str, params: dict) -> None:
        """An event; the browser's reader calls it."""
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Network.responseReceived" and params["type"] == "Document":
            self.documents.append((params["response"]["url"], params["response"]["status"]))
        elif method == "Network.loadingFailed" and not params.get("canceled"):
            self.failures.append(f"{params['type']}: {params['errorText']}")
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(params["exceptionDetails"].get("exception", params)))
        elif method == "Log.entryAdded" and params["entry"]["source"] in ("javascript", "security"):
            self.errors.append(params["entry"]["text"])

    # --- what a person does ----------------------------------------------------------------------

    def open(self, address: str) -> None:
        """Goes there; returns when an answer has begun to come."""
        result = self.call("Page.navigate", url=address)
        want("errorText" not in result, f"{address}: {result.get('errorText')}")

    def click(self, selector: str) -> None:
        """A click of the mouse into the middle of the element."""
        place = self.value("(() => { const box = document.querySelector("
                           f"{json.dumps(selector)})?.getBoundingClientRect(); return box && "
                           "[box.x + box.width / 2, box.y + box.height / 2]; })()")
        want(place, f"there is no {selector}: {self.text()!r}")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1],
                      button="left", clickCount=1)

    def screenshot(self, path: str) -> None:
        """A PNG of what is to be seen."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    # --- what is to be seen ----------------------------------------------------------------------

    def value(self, expression: str) -> object:
        """Of an expression in JavaScript, in the page as it is now; a promise's, once it has one.

        It does not need the page's own scripts to be allowed. None when the page goes away meanwhile.
        """
        try:
            result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                               awaitPromise=True)
        except Wrong as wrong:
            if "context" in str(wrong) or "navigated" in str(wrong):
                return None
            raise
        details = result.get("exceptionDetails")
        want(details is None, f"{expression[:200]}: {details}")
        return result["result"].get("value")

    def text(self) -> str:
        return str(self.value("document.body ? document.body.innerText : ''") or "")

    def address(self) -> str:
        return str(self.value("location.href") or "")

    def until(self, holds: Callable[[], object], reason: str, seconds: float = 20) -> None:
        """Asks anew at each of Chromium's events, and a little later."""
        end = time.monotonic() + seconds
        while not holds():
            want(time.monotonic() < end, f"{reason} (waited {seconds:g} s); {self.address()} "
                                         f"shows {self.text()[:300]!r}")
            with self._browser.change:
                self._browser.change.wait(0.02)

    def wait(self, expression: str, reason: str, seconds: float = 20) -> None:
        """Until the expression in JavaScript holds."""
        self.until(lambda: self.value(f"Boolean({expression})"), reason, seconds)

    def wait_text(self, part: str, seconds: float = 20) -> None:
        self.wait(f"document.body && document.body.innerText.includes({json.dumps(part)})",
                  f"{part!r} does not appear", seconds)
