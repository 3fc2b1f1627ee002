"""The hub: one stream of changes for all channels, as long as there are any."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from contextvars import Context
from typing import Protocol

import asyncpg
import msgspec
import structlog

from frostdesk.errors import TryAgainError
from frostdesk.realtime import frames
from frostdesk.realtime.bindings import Binding
from frostdesk.realtime.changes import Change, Columns
from frostdesk.realtime.frames import Frame, Ref
from frostdesk.realtime.replication import open_stream
from frostdesk.store.database import LOST

JOIN_SECONDS = 8.0
"""Less than the ten seconds that the official clients wait for the answer to a join."""

LINGER_SECONDS = 30.0
"""A phone that changes its network is back within this; the stream is kept for it."""

CHANNELS_AT_ONCE = 100

AWAY = "The database cannot be reached just now. Join again."
POOLER = (
    "Changes are told on a direct connection only, and there is a pooler between: name "
    "PostgreSQL itself in FROSTDESK_DIRECT_DATABASE_URL, or let Supabase serve Realtime."
)

REASONS: tuple[tuple[type[Exception], str], ...] = (
    (
        asyncpg.ObjectNotInPrerequisiteStateError,
        "PostgreSQL tells of changes only with `wal_level = logical`: set it, and restart it.",
    ),
    (
        asyncpg.InsufficientPrivilegeError,
        "The user in FROSTDESK_DATABASE_URL may not follow changes: `ALTER ROLE … REPLICATION`.",
    ),
    (
        asyncpg.ConfigurationLimitExceededError,
        "PostgreSQL has no slot left to follow changes by: raise `max_replication_slots`.",
    ),
    (
        asyncpg.TooManyConnectionsError,
        "PostgreSQL has no connection left: raise `max_connections` and `max_wal_senders`.",
    ),
    (asyncpg.ProtocolViolationError, POOLER),
    (asyncpg.PostgresSyntaxError, POOLER),
)
"""What keeps a stream from being had for good, and what to do; the first that fits counts."""

log = structlog.get_logger(__name__)

_encode = msgspec.json.Encoder().encode


class Subscriber(Protocol):
    """What the hub needs of a socket."""

    version: str

    def send(self, text: str) -> None:
        """Send a frame's text soon; never waits."""

    def lose(self, channel: Channel) -> None:
        """Forget a channel that can no longer be served."""


class Channel(msgspec.Struct, eq=False):
    """One topic that one socket has joined, and what it wants to hear of."""

    subscriber: Subscriber
    topic: str
    join_ref: Ref
    bindings: tuple[Binding, ...] = ()

    def send(self, frame: Frame) -> None:
        """Send a frame to whoever joined."""
        self.subscriber.send(frames.encode(frame, self.subscriber.version))


class Hub:
    """Serves channels. One object a process."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._channels: set[Channel] = set()
        self._task: asyncio.Task[None] | None = None
        self._live: asyncio.Future[Columns] | None = None
        self._linger: asyncio.TimerHandle | None = None

    async def ready(self) -> Columns:
        """Wait until changes are being followed; gives the columns of the tables.

        Raises:
            TryAgainError: they cannot be followed just now; the text says why.
        """
        self._linger_on()
        if self._live is None:
            self._live = asyncio.get_running_loop().create_future()
            # Whoever happens to join first is not whom the log should name from here on.
            self._task = asyncio.create_task(
                self._follow(self._live), name="follow changes", context=Context()
            )
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                return await asyncio.shield(self._live)
        except TimeoutError as error:
            raise TryAgainError(
                "Changes can be followed when the transactions that are writing just now have "
                "ended. Join again."
            ) from error

    def add(self, channel: Channel) -> None:
        """Serve a channel from now on.

        Raises:
            TryAgainError: the hub is not ready, or no longer.
        """
        if self._live is None or not self._live.done():
            raise TryAgainError(AWAY)
        self._channels.add(channel)

    def remove(self, channel: Channel) -> None:
        """Serve a channel no longer."""
        self._channels.discard(channel)
        self._linger_on()

    async def close(self) -> None:
        """End the stream."""
        if self._linger:
            self._linger.cancel()
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _linger_on(self) -> None:
        if self._linger:
            self._linger.cancel()
        loop = asyncio.get_running_loop()
        self._linger = loop.call_later(LINGER_SECONDS, self._end_if_unused)

    def _end_if_unused(self) -> None:
        if not self._channels and self._task:
            self._task.cancel()

    async def _follow(self, live: asyncio.Future[Columns]) -> None:
        """Follow changes until nobody wants them, or they cannot be had; joining starts it anew."""
        reason = "Nobody listens."
        try:
            async with open_stream(self._database_url) as stream:
                live.set_result(stream.columns)
                log.info("realtime follows changes")
                async for change in stream.changes():
                    await self._publish(change)
        except Exception as error:  # noqa: BLE001  # whatever it is, subscribers have to know
            reason = why(error)
            log.warning("realtime cannot follow changes", reason=reason, error=repr(error))
        finally:
            self._live = None
            self._give_up(live, reason)

    def _give_up(self, live: asyncio.Future[Columns], reason: str) -> None:
        """Tell everybody; official clients join again by themselves after `phx_error`."""
        if not live.done():
            live.set_exception(TryAgainError(reason))
            live.exception()  # it may be that nobody waits any more
        channels, self._channels = self._channels, set()
        for channel in channels:
            channel.subscriber.lose(channel)
            channel.send(frames.system(channel.topic, "error", reason))
            channel.send(frames.ended(channel.topic, "phx_error", channel.join_ref))

    async def _publish(self, change: Change) -> None:
        """Hand the change to every channel that wants it, encoded once for all that look alike."""
        data = msgspec.Raw(_encode(change))
        texts: dict[tuple[str, str, tuple[int, ...]], str] = {}
        for place, channel in enumerate(tuple(self._channels), start=1):
            ids = tuple(b.id for b in channel.bindings if b.wants(change))
            if ids and channel in self._channels:
                key = (channel.subscriber.version, channel.topic, ids)
                if key not in texts:
                    texts[key] = frames.encode(_frame(channel.topic, ids, data), key[0])
                channel.subscriber.send(texts[key])
            # However many listen, webhooks and the sockets' writers get their turn.
            if place % CHANNELS_AT_ONCE == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(0)


def _frame(topic: str, ids: Iterable[int], data: msgspec.Raw) -> Frame:
    payload = msgspec.Raw(_encode({"ids": ids, "data": data}))
    return Frame(topic=topic, event="postgres_changes", payload=payload)


def why(error: Exception) -> str:
    """What stands between us and the stream of changes, and what to do about it."""
    if isinstance(error, TryAgainError):
        return str(error)
    for kind, text in REASONS:
        if isinstance(error, kind):
            return text
    return AWAY if isinstance(error, (*LOST, EOFError)) else f"Changes cannot be told: {error}."
