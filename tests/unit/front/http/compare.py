#!/usr/bin/env python3
"""Our parsers beside node's (llhttp), over malformed.tsv, a corpus and mutations of both. TAP.

What we accept node must accept too, and see the same request: method, target, fields, body and its
end. What we pass on must be the same message again, for node and for us. SEED=N repeats a run,
MUTATIONS=N sets how many there are.
"""

import json
import os
import random
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "../../../.."))
sys.path.insert(0, os.path.join(ROOT, "tests/unit"))
from tap import case, main  # noqa: E402

OURS = [os.environ.get("PARSE_HEAD", os.path.join(ROOT, "build/check/front/http/parse_head"))]
NODE = ["node", "--no-deprecation", os.path.join(HERE, "node_parse.js")]
MUTATIONS = int(os.environ.get("MUTATIONS", "6000"))
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))

COMPLETE = 0  # enum http_result
FIELDS_MAX = 100  # HTTP_FIELDS_MAX

FORWARDED = (b"Forwarded: for=127.0.0.1;host=a.test;proto=http\r\nX-Forwarded-For: 127.0.0.1\r\n"
             b"X-Forwarded-Proto: http\r\nX-Forwarded-Host: a.test\r\n")


def unescape(text):
    """The bytes that a column of malformed.tsv stands for."""
    text = re.sub(r"\\R(\d+)\{(.*?)\}", lambda m: m[2] * int(m[1]), text)
    simple = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\", "F": FORWARDED}
    out = b""
    for plain, hexa, letter in re.findall(r"([^\\]+)|\\x(..)|\\([rnt\\F])", text):
        out += plain.encode() if plain else bytes.fromhex(hexa) if hexa else simple[letter]
    return out


def rows():
    """(status, what it is, bytes) of each row of malformed.tsv."""
    with open(os.path.join(HERE, "malformed.tsv"), encoding="ascii") as table:
        for line in table:
            if line[0] not in "#\n":
                columns = line.rstrip("\n").split("\t")
                yield int(columns[0]), columns[2], unescape(columns[3])


REQUESTS = [
    b"GET /a/b?c=d&e=%20f HTTP/1.1\r\nHost: www.example.com:8080\r\nUser-Agent: x/1.0 (y; z)\r\n"
    b"Accept: text/html,*/*;q=0.8\r\nAccept-Language: de,en;q=0.5\r\nCookie: a=b; c=\"d\"\r\n"
    b"Connection: keep-alive\r\nSec-Fetch-Mode: navigate\r\nReferer: http://a/b#c\r\n\r\n",
    b"POST /upload HTTP/1.1\r\nHost: [2001:db8::1]:80\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 11\r\nExpect: 100-continue\r\n\r\nhello world",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n"
    b"5;a=b;c=\"d\\\"e\"\r\nhello\r\nC\r\n world, this\r\n0\r\nT: u\r\nV: w\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"DELETE http://b.example/x?y HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nConnection: close, x-a\r\n\r\n",
    b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"PUT /x HTTP/1.0\r\nContent-Length: 3\r\nHost: a\r\n\r\nabc",
    b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(80)) + b"\r\n",
    b"GET / HTTP/1.1\r\nHost:a\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n\r\n",
]

ANSWERS = [
    ("A", b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/html\r\nContent-Length: 5\r\n"
          b"Set-Cookie: a=b; Path=/\r\nSet-Cookie: c=d\r\n\r\nhello"),
    ("A", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n"
          b"5\r\nhello\r\n0\r\nT: u\r\n\r\n"),
    ("A", b"HTTP/1.1 200 OK\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: a\r\n\r\nhello"),
    ("A", b"HTTP/1.0 302 Found\nLocation: /x\nDate: Mon, 23 Nov 2026 03:40:50 GMT\n\nhello"),
    ("A", b"HTTP/1.0 200\r\nConnection: keep-alive\r\nContent-Length : 2, 2\r\n\r\nok"),
    ("A", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
    ("A", b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 5\r\n\r\n"),
    ("A", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ("A", b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"),
    ("A", b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          b"Content-Length: 0\r\n\r\n"),
    ("H", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: x\r\n\r\n"),
    ("H", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("U", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
    ("U", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
]

# What mutations put in.
PIECES = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b"\0", b"\x0b", b"\x7f", b"\x80", b"\xff", b",", b";", b":",
    b"\"", b"\\", b"/", b"?", b"#", b"@", b"[", b"]", b"_", b"-", b"0", b"5", b"a", b"=", b"%", b"*",
    b"chunked", b"identity", b"close", b"keep-alive", b"upgrade", b"h2c", b"HTTP/1.0", b"HTTP/1.1",
    b"http://c.example", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Host: b\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: ", b"Content-Length:",
    b"Connection: close\r\n", b"Connection: x-a, host, cookie\r\n", b"Connection: ",
    b"Upgrade: x\r\n", b"Expect: 100-continue\r\n", b"X-Forwarded-For: 9.9.9.9\r\n",
    b"x_forwarded_for: 9.9.9.9\r\n", b"TE: trailers\r\n", b"\r\n\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n",
    b";a=\"b\"", b" folded\r\n", b"GET / HTTP/1.1\r\nHost: b\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n",
]


def mutate(rng, seeds):
    message = rng.choice(seeds)
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 5])):
        at, to = sorted(rng.randrange(len(message) + 1) for _ in range(2))
        lines = message.split(b"\r\n")
        line = rng.randrange(len(lines))
        what = rng.randrange(8)
        if what == 0:
            message = message[:at] + rng.choice(PIECES) + message[at:]
        elif what == 1:
            message = message[:at] + message[at + 1:]
        elif what == 2:
            message = message[:at] + bytes([rng.randrange(256)]) + message[at + 1:]
        elif what == 3:
            message = message[:at] + message[min(to, at + 8):]
        elif what == 4:  # a line once more
            message = b"\r\n".join(lines[:line] + [lines[line]] + lines[line:])
        elif what == 5:  # a line in another place
            moved = lines.pop(line)
            lines.insert(rng.randrange(len(lines) + 1), moved)
            message = b"\r\n".join(lines)
        elif what == 6:  # something put between a line's end and the next line
            lines.insert(line, rng.choice(PIECES).rstrip(b"\r\n"))
            message = b"\r\n".join(lines)
        else:  # the rest of another
            other = rng.choice(seeds)
            message = message[:at] + other[rng.randrange(len(other) + 1):]
        message = message[:30000] or b"x"
    return message


def ask(command, messages):
    """What a parser says to each (kind, bytes)."""
    lines = "".join(f"{kind} {message.hex()}\n" for kind, message in messages)
    run = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=True,
                         encoding="utf-8", timeout=250)
    results = [json.loads(line) for line in run.stdout.split("\n") if line]
    assert len(results) == len(messages), (len(results), len(messages))
    return results


def latin1(text):
    return text.encode("latin1")


# --- what the next hop must get, from what node saw ------------------------------------------------

HOP = {"connection", "content-length", "transfer-encoding", "host", "keep-alive", "te",
       "proxy-connection", "http2-settings", "proxy"}
# Fields that Connection cannot take away.
KEPT = {"cookie", "accept", "expect", "upgrade", "date", "user-agent", "sec-fetch-mode",
        "sec-fetch-dest"}


def end_to_end(fields, upgrade, drop):
    hop = {option.strip(" \t").lower() for name, value in fields if name.lower() == "connection"
           for option in value.split(",")} - KEPT
    return [[name, value] for name, value in fields
            if name.lower() not in HOP | drop and (upgrade or name.lower() != "upgrade")
            and (name.lower() not in hop or name.lower() in ("forwarded", "x-real-ip")
                 or name.lower().startswith("x-forwarded"))]


def is_forwarded(name):
    return re.fullmatch(r"forwarded|x-forwarded(-.*)?|x-real-ip",
                        name.lower().replace("_", "-")) is not None


def passed_request(ours, node):
    host = ours["authority"]
    fields = [["Host", host]]
    if ours["upgrade"]:
        fields.append(["Connection", "upgrade"])
    names = {name.lower(): value for name, value in node["fields"]}
    if "transfer-encoding" in names:
        fields.append(["Transfer-Encoding", "chunked"])
    elif "content-length" in names:
        fields.append(["Content-Length", str(int(names["content-length"]))])
    quote = "" if re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", host, re.ASCII) else '"'
    where = f";host={quote}{host}{quote}" if host else ""
    fields += [["Forwarded", f"for=192.0.2.1{where};proto=http"], ["X-Forwarded-For", "192.0.2.1"],
               ["X-Forwarded-Proto", "http"]]
    if host:
        fields.append(["X-Forwarded-Host", host])
    drop = {"expect"} if ours["minor"] == 0 else set()
    return fields + [field for field in end_to_end(node["fields"], ours["upgrade"], drop)
                     if not is_forwarded(field[0])]


def target_of(ours, node):
    """The target in origin form."""
    target = re.sub(r"^https?://[^/?]*", "", node["url"], flags=re.IGNORECASE)
    if target == "" and node["method"] == "OPTIONS":
        return "*"
    return target if target.startswith(("/", "*")) else "/" + target


# --- comparing --------------------------------------------------------------------------------------

METHODS = json.loads(subprocess.run(["node", "-p", "JSON.stringify(require('http').METHODS)"],
                                    stdout=subprocess.PIPE, check=True, text=True).stdout)


def differ(what, message, *more):
    raise AssertionError(f"{what} (SEED={SEED})\n{message!r}\n" + "\n".join(map(repr, more)))


def same(what, message, left, right, *more):
    if left != right:
        differ(what, message, left, right, *more)


def known_method(ours, message):
    """The message with a method that node knows: it takes no others, we take any token."""
    if ours["method"] in METHODS:
        return message, ours["method"]
    at = message.index(latin1(ours["method"]))
    return message[:at] + b"POST" + message[at + len(ours["method"]):], "POST"


def compare_requests(messages):
    """Returns how many of the messages were accepted."""
    cases = []
    for message, ours in zip(messages, ask(OURS, [("R", m) for m in messages])):
        if ours["result"] == COMPLETE and ours["body"] == COMPLETE:
            raw = latin1(ours["raw"])
            whole, method = known_method(ours, message[:ours["size"] + len(raw)])
            passed = latin1(ours["rewritten"]) + raw
            cases.append((ours, method, whole, passed))

    nodes = ask(NODE, [("R", whole) for _, _, whole, _ in cases])
    again = ask(NODE, [("R", known_method(ours, passed)[0]) for ours, _, _, passed in cases])
    ours_again = ask(OURS, [("R", passed) for _, _, _, passed in cases])
    for (ours, method, whole, passed), node, next_node, next_ours in zip(cases, nodes, again,
                                                                         ours_again):
        same("node refuses", whole, node["error"], None, ours)
        same("another end", whole, node["complete"], len(whole))
        same("another method", whole, node["method"], method)
        same("another target", whole, node["url"], ours["sent_target"])
        same("another version", whole, node["minor"], ours["minor"])
        same("other fields", whole, node["fields"], ours["fields"])
        same("another body", whole, node["content"], ours["content"])
        # Node takes a tab in Connection for a part of its options.
        if ours["minor"] == 1 and not re.search(rb"connection:[^\r]*\t", whole, re.IGNORECASE):
            same("another persistence", whole, node["persistent"], bool(ours["persistent"]))

        same("node refuses what passes", passed, next_node["error"], None, whole)
        same("what passes ends elsewhere", passed, next_node["complete"],
             len(known_method(ours, passed)[0]), whole)
        same("another method passes", passed, next_node["method"], method, whole)
        same("another target passes", passed, next_node["url"], target_of(ours, node), whole)
        same("other fields pass", passed, next_node["fields"], passed_request(ours, node), whole)
        same("another body passes", passed, next_node["content"], ours["content"], whole)
        if len(next_node["fields"]) > FIELDS_MAX:  # with those that we add
            continue
        same("we refuse what we pass", passed, next_ours["result"], COMPLETE, whole)
        same("we pass it on otherwise", passed, next_ours["rewritten"], ours["rewritten"], whole)
    return len(cases)


def passed_answer(ours, fields):
    code = ours["code"]
    final = code >= 200
    out = []
    ends = not final or ours["end"] == 3
    if code == 101:
        out.append(["Connection", "upgrade"])
    elif code == 426:
        out.append(["Connection", "upgrade, close" if ends else "upgrade"])
    elif ends and final:
        out.append(["Connection", "close"])
    lengths = [value for name, value in fields if name.lower() == "content-length"]
    if ours["end"] == 2:
        out.append(["Transfer-Encoding", "chunked"])
    elif lengths and final and code != 204:
        out.append(["Content-Length", str(int(lengths[0].split(",")[0]))])
    out += end_to_end([f for f in fields], code in (101, 426), set())
    # A Host is a field like any other in an answer, and means nothing.
    out = [f for f in out if f[0].lower() != "host"]
    if final and not any(name.lower() == "date" for name, _ in fields):
        out.append(["Date", "Sun, 06 Nov 1994 08:49:37 GMT"])
    return out


def compare_answers(messages):
    cases = []
    for (kind, message), ours in zip(messages, ask(OURS, messages)):
        if ours["result"] == COMPLETE and ours["body"] == COMPLETE:
            raw = latin1(ours["raw"])
            cases.append((kind, ours, message[:ours["size"] + len(raw)],
                          latin1(ours["rewritten"]) + raw))

    nodes = ask(NODE, [(kind, whole) for kind, _, whole, _ in cases])
    again = ask(NODE, [(kind, passed) for kind, _, _, passed in cases])
    for (kind, ours, whole, passed), node, next_node in zip(cases, nodes, again):
        # We are the more lenient here, but must not see another message. Node takes a tab behind
        # a coding for a part of it.
        if node["error"] is None and not re.search(rb"chunked *\t", whole, re.IGNORECASE):
            same("another end", whole, node["complete"], len(whole), ours)
            same("another status", whole, node["code"], ours["code"])
            same("other fields", whole, node["fields"], ours["fields"])
            same("another body", whole, node["content"], ours["content"])
        same("node refuses what passes", passed, next_node["error"], None, whole)
        same("what passes ends elsewhere", passed, next_node["complete"], len(passed), whole)
        same("another status passes", passed, next_node["code"], ours["code"], whole)
        same("another phrase passes", passed, next_node["phrase"].strip(" \t"), ours["phrase"])
        same("other fields pass", passed,
             [f for f in next_node["fields"] if f[0].lower() != "host"],
             passed_answer(ours, ours["fields"]), whole)
        same("another body passes", passed, next_node["content"], ours["content"], whole)
    return len(cases)


@case
def the_table_of_malformed_requests():
    compare_requests([message for _, _, message in rows()])


@case
def the_corpus():
    same("not all are accepted", b"", compare_requests(REQUESTS), len(REQUESTS))
    same("not all are accepted", b"", compare_answers(ANSWERS), len(ANSWERS))


@case
def mutated_requests():
    rng = random.Random(SEED)
    seeds = REQUESTS * 10 + [message for status, _, message in rows()
                             for _ in range(8 if status == 200 else 1)]
    accepted = compare_requests([mutate(rng, seeds) for _ in range(MUTATIONS)])
    print(f"# SEED={SEED}: {accepted} of {MUTATIONS} mutated requests were accepted")
    assert accepted > MUTATIONS / 50


@case
def mutated_answers():
    rng = random.Random(SEED)
    seeds = [message for _, message in ANSWERS]
    accepted = compare_answers([(rng.choice("AAAHU"), mutate(rng, seeds))
                                for _ in range(MUTATIONS)])
    print(f"# SEED={SEED}: {accepted} of {MUTATIONS} mutated answers were accepted")
    assert accepted > MUTATIONS / 50


if __name__ == "__main__":
    sys.exit(main())
