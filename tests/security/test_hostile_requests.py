"""Requests that are not what they seem: none is taken for another, none gets beyond its path."""

from __future__ import annotations

import re

import pytest

from tests.security.hostile import Watch, head, say
from tests.support.programs import Programs
from tests.support.secrets import INSTRUCTOR_TOKEN

HIDDEN = head(f"Authorization: Bearer {INSTRUCTOR_TOKEN}", target="/conversations", method="GET")
"""What a smuggler hides in the body of another request."""

STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) \w")

CHUNKED = b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n"
LENGTH = f"Content-Length: {len(CHUNKED)}"
BARE = b"POST /inbound HTTP/1.1\r\nHost: desk\r\n"

AMBIGUOUS = {
    "both lengths": head(LENGTH, "Transfer-Encoding: chunked") + CHUNKED,
    "both lengths, the other way round": head("Transfer-Encoding: chunked", LENGTH) + CHUNKED,
    "two lengths": head("Content-Length: 0", LENGTH) + CHUNKED,
    "two lengths in one": head("Content-Length: 0, 5") + HIDDEN,
    "a signed length": head("Content-Length: +5") + HIDDEN,
    "a negative length": head("Content-Length: -5") + HIDDEN,
    "a hexadecimal length": head("Content-Length: 0x5") + HIDDEN,
    "a length in other digits": BARE + "Content-Length: \u0665\r\n\r\n".encode() + HIDDEN,
    "a length with a line folded into it": head("Content-Length: 1\r\n 0") + HIDDEN,
    "a length without digits": head("Content-Length: ") + HIDDEN,
    "a space before the colon": head(f"Content-Length : {len(CHUNKED)}") + CHUNKED,
    "a folded line": head("Transfer-Encoding:\r\n chunked") + CHUNKED,
    "a head that begins with a space": BARE[:23] + b" " + BARE[23:] + b"\r\n" + HIDDEN,
    "an encoding of another name": head("Transfer-Encoding: xchunked") + CHUNKED,
    "an encoding and a mark": head("Transfer-Encoding: \x0bchunked") + CHUNKED,
    "chunked, but not last": head("Transfer-Encoding: chunked, identity") + CHUNKED,
    "chunked twice": head("Transfer-Encoding: chunked", "Transfer-Encoding: identity") + CHUNKED,
    "a line that ends early": BARE + b"X: a\rTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "a NUL in a head": BARE + b"X: a\0b\r\n\r\n" + HIDDEN,
    "a chunk of another size": head("Transfer-Encoding: chunked") + b"5\r\n" + HIDDEN,
    "a chunk of a signed size": head("Transfer-Encoding: chunked") + b"+5\r\nhello\r\n0\r\n\r\n",
    "a chunk of a hexadecimal size": head("Transfer-Encoding: chunked") + b"0x5\r\nhello" + HIDDEN,
    "a chunk of a huge size": head("Transfer-Encoding: chunked") + b"f" * 40 + b"\r\n" + HIDDEN,
    "no version": b"GET /conversations\r\n\r\n" + HIDDEN,
    "another version": b"GET /health HTTP/9.9\r\nHost: desk\r\n\r\n" + HIDDEN,
    "an HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN,
    "TLS": bytes.fromhex("16030100c8010000c40303") + b"\0" * 200,
    "a field without a name": head(": value") + HIDDEN,
    "a field without a colon": head("nonsense") + HIDDEN,
    "a head of 100 kB in one line": head("X: " + "x" * 100_000),
    "a path of 100 kB": head(target="/" + "x" * 100_000, method="GET"),
    "a thousand fields": head(*(f"X-{n}: {n}" for n in range(1000))),
}

OUTSIDE = [
    "/../../etc/passwd",
    "/desk/../../../etc/passwd",
    "/desk/x/../../../../etc/passwd",
    "/desk/x/..%2f..%2f..%2fetc%2fpasswd",
    "/desk/x/%2e%2e/%2e%2e/etc/passwd",
    "/desk/x/....//....//etc/passwd",
    "/desk/x/..\\..\\..\\etc\\passwd",
    "/desk/x/%5c..%5c..%5cetc%5cpasswd",
    "/desk/x/%252e%252e%252fetc%252fpasswd",
    "/desk/x/app.js%00.html",
    "/desk/x/../pages.py",
    "/desk/x/index.html/..",
    "/desk/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd",
    "//etc/passwd",
    "//desk//x//app.js",
    "/./conversations",
    "/health/../conversations",
    "/%2e/conversations",
    "/health%2f..%2fconversations",
    "//conversations",
    "/conversations;x",
    "/conversations/",
    "/CONVERSATIONS",
    "/conversations%00",
    "/conversations%20",
    "/conversations?/../health",
    "/conversations#/health",
    "http://desk/conversations",
    "http://another.example/conversations",
    "http://[::1/conversations",
    "file:///etc/passwd",
    "*",
    "conversations",
    "/%",
    "/%zz",
    "/%ff%fe",
    "/\xff",
    "/a\x00b",
    "",
]


@pytest.fixture
async def watch(programs: Programs) -> Watch:
    """The API as a process."""
    return Watch(await programs.serve())


async def test_nothing_is_smuggled_in(watch: Watch, subtests: pytest.Subtests) -> None:
    """A request whose end is not sure is refused, and what follows it is never a request."""
    for what, raw in AMBIGUOUS.items():
        with subtests.test(what):
            heard = await say(watch.port, raw, to_the_end=True)
            assert STATUS.findall(heard) in ([], [b"400"], [b"401"]), heard
    await watch.webhooks()


async def test_what_is_not_ambiguous_is_understood(watch: Watch) -> None:
    """The two requests of one connection are told apart where the first says how long it is."""
    second = HIDDEN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    for first in (head(LENGTH) + CHUNKED, head("Transfer-Encoding: chunked") + CHUNKED):
        heard = await say(watch.port, first + second, to_the_end=True)
        assert STATUS.findall(heard) == [b"401", b"200"]


async def test_no_path_leads_anywhere_else(watch: Watch, subtests: pytest.Subtests) -> None:
    """No spelling of a path reaches a file, or the instructor's data without the token."""
    for target in OUTSIDE:
        with subtests.test(target):
            answer = await say(watch.port, head(target=target, method="GET"))
            assert answer[9:10] == b"4", answer[:200]
            assert b"root:" not in answer
    await watch.webhooks()
