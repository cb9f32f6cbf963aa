"""Server-sent events (WHATWG HTML 9.2) as they come."""

import json

from .system import want
from .wire import Wire, request


class Stream(Wire):
    """The events of an app's wake, as the waiting page would follow them."""

    def __init__(self, host: str, path: str, **options: object) -> None:
        super().__init__(**options)
        self.send(request(f"/_dockwake/events?for={path}", host, "Accept: text/event-stream"))
        self.answer = self.head()
        want(self.answer.status == 200, f"no events: {self.answer}")
        want(self.answer.get("Content-Type").startswith("text/event-stream"), f"{self.answer}")
        want(self.answer.get("Cache-Control") == "no-store", f"{self.answer}")

    def next(self) -> tuple[str, dict[str, object]] | None:
        """The name and the data of the next event; None at the end."""
        name, data = "message", []
        while True:
            line = self.stream.readline()
            if not line:
                want(not data, "the stream ends within an event")
                return None
            text = line.decode().rstrip("\r\n")
            key, _, value = text.partition(":")
            value = value.removeprefix(" ")
            if key == "event":
                name = value
            elif key == "data":
                data.append(value)
            elif not text and data:
                return name, json.loads("\n".join(data))
            elif not text:
                name = "message"

    def rest(self) -> list[tuple[str, dict[str, object]]]:
        """All events up to the end."""
        events = []
        while event := self.next():
            events.append(event)
        return events
