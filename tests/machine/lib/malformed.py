"""The table of requests that are malformed or only look like it: tests/unit/front/http."""

import re
from dataclasses import dataclass

TABLE = "/opt/http/malformed.tsv"

# What the front adds for a client at 127.0.0.1 that asked for a.test.
FORWARDED = (b"Forwarded: for=127.0.0.1;host=a.test;proto=http\r\nX-Forwarded-For: 127.0.0.1\r\n"
             b"X-Forwarded-Proto: http\r\nX-Forwarded-Host: a.test\r\n")
PLAIN = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\", "F": FORWARDED}


@dataclass
class Row:
    status: int
    source: str  # the RFC and its section
    what: str
    data: bytes
    passed: bytes  # status 200: what the backend gets

    def __str__(self) -> str:
        return f"{self.what} (RFC {self.source})"


def unescape(text: str) -> bytes:
    text = re.sub(r"\\R(\d+)\{(.*?)\}", lambda match: match[2] * int(match[1]), text)
    parts = re.findall(r"([^\\]+)|\\x(..)|\\(.)", text)
    return b"".join(plain.encode() if plain else bytes.fromhex(code) if code else PLAIN[letter]
                    for plain, code, letter in parts)


def rows() -> list[Row]:
    found = []
    with open(TABLE, encoding="ascii") as table:
        for line in table:
            if line[0] not in "#\n":
                status, source, what, data, *passed = line.rstrip("\n").split("\t")
                found.append(Row(int(status), source, what, unescape(data),
                                 unescape(passed[0]) if passed else b""))
    return found


def is_whole(data: bytes) -> bool:
    """Whether a backend could take these bytes for a whole request, with a body in chunks or none."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    if b"transfer-encoding" not in head.lower():
        return True
    while True:
        size, end, body = body.partition(b"\r\n")
        if not end:
            return False
        length = int(size.partition(b";")[0], 16)
        if length == 0:
            return body.startswith(b"\r\n") or b"\r\n\r\n" in body
        body = body[length + 2:]
