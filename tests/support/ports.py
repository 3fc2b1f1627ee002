"""Free ports on loopback."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

# Below the range that systems take a client's own port from, so that no connection occupies the
# port of a server that a test has stopped and will start again.
_FIRST, _LAST = 15_000, 32_000

_given: set[int] = set()


def free_port() -> int:
    """A TCP port that nobody listens on, and that nobody has been given who may yet do so.

    Truly random, as every test has the same `random` seed.
    """
    while True:
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        if port in _given:
            continue
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            _given.add(port)
            return port


def listens(port: int) -> bool:
    """Whether somebody takes connections on that port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
