"""Customers who write at a steady pace, an instructor who decides, and what each was promised."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import aiohttp

from frostdesk.whatsapp.signature import sign
from tests.support.bodies import text_message, webhook
from tests.support.secrets import APP_SECRET, INSTRUCTOR_TOKEN
from tests.support.waiting import until

CUSTOMERS = 24
AGAIN_SECONDS = 0.5
"""How long WhatsApp waits, here, before it delivers a webhook again that was not answered 200."""

TWICE = 0.1
"""The share of webhooks that come again although they were taken."""

WISHES = 0.3
"""The share of messages that ask for a lesson."""

DECIDING_SECONDS = 0.5
SMALL_TALK = ("Hello", "Is there enough snow?", "Thank you!", "Which lift do we meet at?")

_rounds = count(1)


class Load:
    """Writes `rate` messages a second, each until it is taken.

    `accepted` are WhatsApp's ids of all messages that were answered 200, `decided` the lessons
    whose decision was. Every load has customers of its own.
    """

    def __init__(
        self, session: aiohttp.ClientSession, api_url: str, *, rate: float, chance: random.Random
    ) -> None:
        self._session = session
        self._url = api_url
        self._rate = rate
        self._chance = chance
        self._name = f"{next(_rounds):05}"
        self._sent = count(1)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._under_way: set[asyncio.Task[None]] = set()
        self.accepted: set[str] = set()
        self.decided: dict[str, str] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Customers write as long as this lasts."""
        tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._decide())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Nobody writes, and all that was written has been taken."""
        self._flowing.clear()
        try:
            await self.all_taken()
            yield
        finally:
            self._flowing.set()

    async def all_taken(self) -> None:
        """Wait until nothing that was written is still to be taken."""

        async def idle() -> bool:
            return not self.is_busy

        await until(idle, 60)

    @property
    def is_busy(self) -> bool:
        """Whether a message has been written that was not answered 200 yet."""
        return bool(self._under_way)

    def write(self, text: str, *, customer: int = CUSTOMERS) -> None:
        """A customer writes; by default one who does not write otherwise."""
        number = next(self._sent)
        whatsapp_id = f"wamid.load-{self._name}-{number}"
        sender = {"from": f"41{self._name}{customer:04}", "id": whatsapp_id}
        body = json.dumps(webhook(text_message(text, **sender))).encode()
        task = asyncio.create_task(self._insist(body, whatsapp_id))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _write(self) -> None:
        while True:
            await self._flowing.wait()
            self.write(self._text(), customer=self._chance.randrange(CUSTOMERS))
            await asyncio.sleep(self._chance.expovariate(self._rate))

    def _text(self) -> str:
        if self._chance.random() > WISHES:
            return self._chance.choice(SMALL_TALK)
        day = datetime.now(UTC).date() + timedelta(days=self._chance.randrange(7, 330))
        hour = self._chance.randrange(9, 16)
        return f"A lesson on {day} at {hour}:00 for 60 minutes, please"

    async def _insist(self, body: bytes, whatsapp_id: str) -> None:
        while True:
            if await self._post(body):
                break
            await asyncio.sleep(AGAIN_SECONDS)
        self.accepted.add(whatsapp_id)
        if self._chance.random() < TWICE:
            await self._post(body)

    async def _post(self, body: bytes) -> bool:
        headers = {"X-Hub-Signature-256": sign(body, APP_SECRET.encode())}
        status, _ = await self._ask("POST", "/inbound", data=body, headers=headers)
        return status == 200

    async def _decide(self) -> None:
        """Confirm or cancel some lesson, again and again."""
        while True:
            await asyncio.sleep(DECIDING_SECONDS)
            await self._flowing.wait()
            _, found = await self._ask("GET", "/bookings?status=pending&limit=10")
            if not (bookings := found.get("items")):
                continue
            booking_id = self._chance.choice(bookings)["id"]
            order = self._chance.choice(("confirm", "confirm", "cancel"))
            status, decided = await self._ask("POST", f"/bookings/{booking_id}/{order}")
            if status == 200:
                self.decided[booking_id] = decided["status"]

    async def _ask(self, method: str, path: str, **more: Any) -> tuple[int, dict[str, Any]]:
        """The answer's status and object; status 0 where none came."""
        headers = {"Authorization": f"Bearer {INSTRUCTOR_TOKEN}"} | more.pop("headers", {})
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.request(
                method, self._url + path, headers=headers, **more
            ) as answer:
                raw = await answer.read()
                return answer.status, json.loads(raw) if raw else {}
        return 0, {}


def now() -> float:
    """The seconds of a clock that nobody steps."""
    return time.monotonic()
