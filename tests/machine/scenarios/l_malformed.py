"""The table of malformed, ambiguous and smuggling requests, over the wire to a recording backend."""

from lib import malformed
from lib.apps import app, untouched
from lib.backend import Backend
from lib.scenario import say, scenario
from lib.setup import enable, write_config
from lib.system import Wrong, want
from lib.wire import Wire, ask

AT_LEAST = 120
TLS_BYTE = b"\x16"  # is taken for TLS on the wire, and never for HTTP


def status_of(row: malformed.Row) -> int:
    """Of the only answer; 0: closed without one."""
    with Wire() as wire:
        wire.send(row.data)
        if row.data.startswith(TLS_BYTE):
            wire.end()
            wire.wait_end()
            return 0
        status = wire.reply().status
        if row.status == 200:
            wire.end()
        wire.wait_end()
        return status


@scenario("malformed-requests-asleep")
def asleep() -> None:
    """Each gets its status; those that are wrong in their heads wake nobody."""
    write_config({"front": {"exit_idle": "1h"}})
    app("a", {"app": {"container": "blog"}}, container="blog")
    enable()
    with untouched():
        for row in malformed.rows():
            heads = row.status != 200 and b"Transfer-Encoding: chunked\r\n\r\n" not in row.data
            if heads:
                want_status(row)


def want_status(row: malformed.Row) -> None:
    try:
        status = status_of(row)
    except (Wrong, OSError) as error:
        raise Wrong(f"{row}: {error!r}") from error
    right = 0 if row.data.startswith(TLS_BYTE) else row.status
    want(status == right, f"{row}: {status}, not {right}")


@scenario("malformed-requests-awake")
def awake() -> None:
    """The backend gets what the table says, and of a refused one nothing that is a request."""
    rows = malformed.rows()
    want(len(rows) >= AT_LEAST, f"only {len(rows)} rows")
    write_config({"front": {"exit_idle": "1h"}})
    with Backend() as backend:
        app("a", {"app": {"container": "blog", "address": backend.address}}, container="blog")
        app("bob", {"route": {"host": "b.test"}})  # whom a smuggled request would reach
        enable()
        want(ask("/", "a.test").body == b"ok", "not served")
        backend.taken()
        for row in rows:
            want_status(row)
            data = backend.taken()
            if row.status == 200:
                want(row.passed in data, f"{row}: the backend got {data!r}")
            # What a refused one before had begun may be here too: accepted late.
            for one in data if row.status != 200 else set(data) - {row.passed}:
                want(not malformed.is_whole(one), f"{row}: the backend got {data!r}")
                want(b"smuggled" not in one, f"{row}: the backend got {data!r}")
    say(f"{len(rows)} requests, {sum(row.status != 200 for row in rows)} of them refused")
