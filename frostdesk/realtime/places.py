"""Who may come in. A crowd that never reads, or has no token, takes no place from the others."""

from __future__ import annotations

import resource

from aiohttp import WSCloseCode

from frostdesk.errors import RefusedError
from frostdesk.realtime.socket import Socket

SOCKETS_MOST = 2_000
"""How many sockets may be open in all. An instructor has a few, and each takes about 25 kB."""

STRANGERS_MOST = 256
"""How many may be new that came without a valid key; the next is turned away."""

NEWCOMERS_MOST = 256
"""How many may be new that came with a valid key; for the next, the one that came first goes.

A client that reads is new for one round trip, so only a crowd that does not read pushes itself out.
"""


class TooManySocketsError(RefusedError):
    """There is no room for another socket."""

    status = 503
    title = "Too many sockets"


class Places:
    """The sockets that are open. One is new until it has shown a valid token, and that it reads."""

    def __init__(self) -> None:
        self._open: set[Socket] = set()
        # In the order in which they came.
        self._strangers: dict[Socket, None] = {}
        self._newcomers: dict[Socket, None] = {}

    def check(self, *, known: bool) -> None:
        """Raise TooManySocketsError if there is no room. `known`: it comes with a valid key."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        is_full = len(self._open) >= min(SOCKETS_MOST, files // 2)
        if is_full or (not known and len(self._strangers) >= STRANGERS_MOST):
            raise TooManySocketsError("Too many sockets are open. Try again later.")

    def enter(self, socket: Socket, *, known: bool) -> None:
        """Give a new socket a place."""
        self._open.add(socket)
        (self._newcomers if known else self._strangers)[socket] = None
        if len(self._newcomers) > NEWCOMERS_MOST:
            first = next(iter(self._newcomers))
            del self._newcomers[first]
            first.end(WSCloseCode.TRY_AGAIN_LATER, "Others came, and you do not read what is sent.")

    def settle(self, socket: Socket) -> None:
        """It is new no longer."""
        self._strangers.pop(socket, None)
        self._newcomers.pop(socket, None)

    def leave(self, socket: Socket) -> None:
        """Free its place."""
        self.settle(socket)
        self._open.discard(socket)

    def end_all(self, code: int, reason: str) -> None:
        """Close every socket soon."""
        for socket in self._open:
            socket.end(code, reason)
