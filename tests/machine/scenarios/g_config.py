"""Item 8: a bad configuration is told whole, and never takes a running front down."""

import re

from lib import docker
from lib.client import get, want_hello
from lib.docker import Events
from lib.scenario import scenario
from lib.setup import APPS, CONFIG, enable, write_app, write_app_text, write_config
from lib.system import (journal_cursor, journal_since, main_pid, run, systemctl, unit,
                        wait_no_process, want)

# Each line that is wrong, as file:line. The errors are of many kinds, so that all the ways are seen
# in which libinih alone would be silent.
BAD_BLOG = """[app]
container = blog
idle_timeout = soon
prot = 80

[route]
host = blog.test
host = other.test

[health
check = http
"""
BAD_WIKI = """[app]
port = 99999

[route]
host = wiki.test

[colour]
red = yes
"""
WRONG = [f"{APPS}/blog.ini:3", f"{APPS}/blog.ini:4", f"{APPS}/blog.ini:8", f"{APPS}/blog.ini:10",
         f"{APPS}/wiki.ini:2", f"{CONFIG}:2"]


def check(status: int) -> str:
    done = run("dockwake", "check", check=False)
    want(done.returncode == status,
         f"dockwake check: exit status {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


@scenario("check-finds-nothing")
def check_good() -> None:
    write_app("blog", app={"container": "blog", "port": 8080, "start_timeout": "1min 30s"},
              route={"host": "blog.test"}, health={"check": "http", "path": "/health"})
    check(0)


@scenario("check-prints-all-errors")
def check_bad() -> None:
    write_app_text("blog", BAD_BLOG)
    write_app_text("wiki", BAD_WIKI)
    write_config({"front": {"exit_idle": "-1"}})
    said = check(1)
    for place in WRONG:
        want(re.search(re.escape(place) + r"\b", said), f"{place} is not told of in: {said}")
    want(re.search(re.escape(f"{APPS}/wiki.ini:") + r"[78]\b", said), f"[colour] passes: {said}")


@scenario("check-finds-two-apps-with-one-route")
def check_clash() -> None:
    write_app("blog", route={"host": "same.test"})
    write_app("wiki", route={"host": "SAME.test."})
    said = check(1)
    want("wiki.ini" in said and "blog" in said, f"both are to be named: {said}")


@scenario("bad-file-keeps-the-old-table")
def keeps_old_table() -> None:
    """Reload fails, says why, and the running front goes on with what it has; a good one counts."""
    docker.create("blog")
    write_app("blog", app={"idle_timeout": "1h"})
    write_config({"front": {"exit_idle": "1h"}})
    enable()
    want_hello("blog.test", "blog")
    front = main_pid("dockwake.service")

    write_app_text("blog", BAD_BLOG)
    cursor = journal_cursor()
    done = run("systemctl", "reload", "dockwake.service", check=False)
    want(done.returncode != 0, "the reload of a bad configuration succeeded")
    want("blog.ini:3" in journal_since(cursor), "the journal does not say where the error is")
    want(unit("dockwake.service", "ActiveState") == "active", "the front is down")
    want_hello("blog.test", "blog")

    # Told directly, past the check that the unit makes first.
    systemctl("kill", "--signal=HUP", "dockwake.service", "dockwake-engine.service")
    want_hello("blog.test", "blog")
    want(main_pid("dockwake.service") == front, "the front was restarted")

    write_app("blog", app={"idle_timeout": "1h"}, route={"host": "new.test"})
    systemctl("reload", "dockwake.service")
    systemctl("reload", "dockwake-engine.service")
    want_hello("new.test", "blog")
    want(get("blog.test").status == 404, "the old name is still known")
    want(main_pid("dockwake.service") == front, "the front was restarted")


@scenario("new-app-needs-no-restart")
def new_app() -> None:
    """An app that is added while another is awake works after a reload of what runs."""
    docker.create("blog")
    docker.create("wiki")
    write_app("blog", app={"idle_timeout": "1h"})
    enable()
    want_hello("blog.test", "blog")
    write_app("wiki")
    systemctl("reload-or-restart", "dockwake.service", "dockwake-engine.service")
    want_hello("wiki.test", "wiki")
    want_hello("blog.test", "blog")


@scenario("broken-app-does-not-hurt-the-others")
def broken_app() -> None:
    """One file is broken from the start: that app is told to be misconfigured, the rest work."""
    docker.create("blog")
    docker.create("wiki")
    write_app("blog")
    write_app_text("wiki", BAD_WIKI)
    enable()
    with Events("wiki") as events:
        want_hello("blog.test", "blog")
        answer = get("wiki.test")
        want(answer.status == 503 and answer.text, f"status {answer.status}: {answer.text!r}")
        want(events.count("start") == 0, "a broken app was woken")
    wait_no_process()
