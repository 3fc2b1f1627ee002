"""Webhooks on their way to the service: batched, signed, and tried again until they are taken.

WhatsApp tries again for up to seven days, with growing pauses (Meta, "Webhooks"); here the pauses
are short, and the end comes sooner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

import aiohttp
import msgspec

from frostdesk.simulators.webhooks import Item, sign, webhook

DELIVERIES = 16
"""Webhooks under way at the same time."""

MAX_WAITING = 10_000
BATCH_WAIT = 0.5
"""Seconds that an unfilled batch waits for more."""

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
"""Seconds between two tries."""


class Counters(msgspec.Struct, kw_only=True):
    """What became of the webhooks. `lost` counts items: too many waited, or nobody took them."""

    delivered: int = 0
    retried: int = 0
    lost: int = 0


class Outbox:
    """Delivers items to `url`. `batch` is asked before each webhook: how many items it holds."""

    def __init__(
        self, *, url: str, app_secret: str, give_up_after: float, batch: Callable[[], int]
    ) -> None:
        self._url = url
        self._app_secret = app_secret
        self._give_up_after = give_up_after
        self._batch = batch
        self._waiting: asyncio.Queue[Item] = asyncio.Queue(MAX_WAITING)
        self._collecting = asyncio.Lock()
        self.duplicate = False
        self.counters = Counters()

    @property
    def waiting(self) -> int:
        """How many items have not left yet."""
        return self._waiting.qsize()

    def put(self, item: Item) -> bool:
        """Have it delivered soon. False if too many wait already."""
        try:
            self._waiting.put_nowait(item)
        except asyncio.QueueFull:
            self.counters.lost += 1
            return False
        return True

    async def run(self) -> None:
        """Deliver until cancelled."""
        timeout = aiohttp.ClientTimeout(total=20)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(DELIVERIES):
                group.create_task(self._work(session))

    async def _work(self, session: aiohttp.ClientSession) -> None:
        while True:
            async with self._collecting:
                items = await self._collect()
            await self._deliver(session, items)

    async def _collect(self) -> list[Item]:
        """The next items that travel together."""
        items = [await self._waiting.get()]
        try:
            async with asyncio.timeout(BATCH_WAIT):
                while len(items) < self._batch():
                    items.append(await self._waiting.get())
        except TimeoutError:
            pass
        return items

    async def _deliver(self, session: aiohttp.ClientSession, items: list[Item]) -> None:
        body = webhook(items)
        if not await self._insist(session, body):
            self.counters.lost += len(items)
            return
        self.counters.delivered += 1
        for item in items:
            if item.delivered:
                item.delivered()
        if self.duplicate:
            await self._post(session, body)

    async def _insist(self, session: aiohttp.ClientSession, body: bytes) -> bool:
        """Post until the service takes it or time is up. Whether it was taken."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._give_up_after
        wait = FIRST_PAUSE
        while not await self._post(session, body):
            if loop.time() >= deadline:
                return False
            self.counters.retried += 1
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_PAUSE)
        return True

    async def _post(self, session: aiohttp.ClientSession, body: bytes) -> bool:
        headers = {
            "Content-Type": "application/json",
            "X-Hub-Signature-256": sign(body, self._app_secret),
        }
        try:
            async with session.post(self._url, data=body, headers=headers) as response:
                return response.status == HTTPStatus.OK
        except (aiohttp.ClientError, TimeoutError):
            return False
