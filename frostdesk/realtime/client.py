"""One client: the channels that it joins and leaves, and the tokens that it shows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

from aiohttp import WSCloseCode

from frostdesk.errors import FrostDeskError, RefusedError, UnauthorizedError
from frostdesk.realtime import frames
from frostdesk.realtime.bindings import bind, confirmed, read_wishes
from frostdesk.realtime.frames import Frame
from frostdesk.realtime.hub import Channel, Hub
from frostdesk.realtime.socket import Socket

CHANNELS_MOST = 100
MALFORMED_MOST = 10

UNAUTHORIZED = (
    "Unauthorized: the instructor's token is expected as the client's key or access token."
)


EXPIRED = "The access token has expired."


class Client:
    """Answers frames. `key` is what came as `apikey`; `judge` tells until when a token is valid."""

    def __init__(
        self, socket: Socket, hub: Hub, *, key: str, judge: Callable[[str], Awaitable[float]]
    ) -> None:
        self.version = socket.version
        self.known = asyncio.Event()
        self._socket = socket
        self._hub = hub
        self._key = key
        self._judge = judge
        self._channels: dict[str, Channel] = {}
        self._expiries: dict[str, asyncio.TimerHandle] = {}
        self._malformed = 0

    def send(self, text: str) -> None:
        """Send a frame's text soon."""
        self._socket.send(text)

    def lose(self, channel: Channel) -> None:
        """Forget a channel that the hub has given up."""
        self._channels.pop(channel.topic, None)
        self._expire(channel, at=inf)

    def leave_all(self) -> None:
        """Leave every channel, without a word."""
        for channel in self._channels.values():
            self._hub.remove(channel)
            self._expire(channel, at=inf)
        self._channels.clear()

    async def hear(self, text: str) -> None:
        """Answer a frame."""
        try:
            frame = frames.decode(text, self.version)
        except RefusedError as error:
            self._refuse_frame(str(error))
            return
        match frame.topic, frame.event:
            case "phoenix", "heartbeat":
                self._answer(frame, "ok", {})
            case _, "phx_join":
                await self._join(frame)
            case topic, _ if topic not in self._channels:
                self._answer(frame, "error", {"reason": "unmatched topic"})
            case _, "phx_leave":
                self._leave(frame)
            case topic, "access_token":
                await self._refresh(self._channels[topic], frame.payload.get("access_token"))
            case _, event:
                reason = (
                    f"FrostDesk serves postgres_changes only, and has no use for {event[:100]}."
                )
                self._answer(frame, "error", {"reason": reason})

    async def hear_binary(self) -> None:
        """Binary frames carry broadcasts, which are not served."""
        self._refuse_frame(
            "Binary frames carry broadcasts; FrostDesk serves postgres_changes only."
        )

    async def _join(self, frame: Frame) -> None:
        self._forget(frame.topic)
        try:
            channel, response = await self._enter(frame)
        except FrostDeskError as error:
            self._answer(frame, "error", {"reason": str(error)})
            return
        self._answer(frame, "ok", response)
        if channel.bindings:
            channel.send(frames.system(frame.topic, "ok", "Subscribed to PostgreSQL"))

    async def _enter(self, frame: Frame) -> tuple[Channel, dict[str, Any]]:
        """The new channel, served from here on, and what its client is answered."""
        if not frame.topic.removeprefix("realtime:") or not frame.topic.startswith("realtime:"):
            raise RefusedError("unmatched topic")
        valid_until = await self._judge(self._token(frame.payload))
        if not valid_until:
            raise UnauthorizedError(UNAUTHORIZED)
        if len(self._channels) >= CHANNELS_MOST:
            raise RefusedError("ChannelRateLimitReached: Too many channels")
        self.known.set()
        wishes = read_wishes(frame.payload)
        columns = await self._hub.ready() if wishes else {}
        join_ref = frame.ref if frame.join_ref is None else frame.join_ref
        channel = Channel(self, frame.topic, join_ref, bind(wishes, columns))
        if wishes:
            self._hub.add(channel)
        self._channels[frame.topic] = channel
        self._expire(channel, at=valid_until)
        return channel, {"postgres_changes": confirmed(wishes, channel.bindings)}

    def _token(self, payload: dict[str, Any]) -> str:
        """The token of a join, else the key of the socket, as Supabase chooses."""
        tokens = (payload.get("access_token"), payload.get("user_token"), self._key)
        return next((token for token in tokens if isinstance(token, str) and token), "")

    def _forget(self, topic: str) -> None:
        """A topic that is joined again is left first, as in Phoenix."""
        channel = self._channels.pop(topic, None)
        if channel:
            self._hub.remove(channel)
            self._expire(channel, at=inf)
            channel.send(frames.ended(topic, "phx_close", channel.join_ref))

    def _leave(self, frame: Frame) -> None:
        self._answer(frame, "ok", {})
        self._forget(frame.topic)

    async def _refresh(self, channel: Channel, token: Any) -> None:
        """A new token for a channel; a wrong one ends it. None means that the old one is kept."""
        if token is None:
            return
        valid_until = await self._judge(token) if isinstance(token, str) else 0.0
        if valid_until:
            self._expire(channel, at=valid_until)
        else:
            self._end(channel, UNAUTHORIZED)

    def _expire(self, channel: Channel, *, at: float) -> None:
        """End a channel at that time (Unix seconds), and at no other."""
        timer = self._expiries.pop(channel.topic, None)
        if timer:
            timer.cancel()
        if at < inf:
            loop = asyncio.get_running_loop()
            self._expiries[channel.topic] = loop.call_later(
                at - time.time(), self._end, channel, EXPIRED
            )

    def _end(self, channel: Channel, reason: str) -> None:
        channel.send(frames.system(channel.topic, "error", reason))
        self._forget(channel.topic)

    def _refuse_frame(self, reason: str) -> None:
        """Say so; whoever goes on like that is dropped."""
        self._malformed += 1
        if self._malformed > MALFORMED_MOST:
            self._socket.end(WSCloseCode.UNSUPPORTED_DATA, "Too many malformed frames.")
        nameless = Frame(topic="phoenix", event="", payload={})
        self._answer(nameless, "error", {"reason": reason[:500]})

    def _answer(self, to: Frame, status: str, response: dict[str, Any]) -> None:
        self.send(frames.encode(frames.reply(to, status, response), self.version))
