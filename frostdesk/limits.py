"""How often the model may be called: for one customer in a minute, for everybody in a day.

Both are counted from the log, so every worker sees the same, and nothing is forgotten with Redis or
a process. What is being written just now is not in the log yet: with many workers a day's budget
may be overrun by the calls under way.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from frostdesk.store.database import Pool
from frostdesk.store.usage import Tally, Usage
from frostdesk.store.work import Work

WINDOW = timedelta(minutes=1)


class Allowance(msgspec.Struct, frozen=True):
    """Whether a customer may be answered now.

    `free_at` (UTC) is when the customer's pace allows it, or None where it does now; `spent` says
    that nobody may be answered any longer today.
    """

    free_at: datetime | None
    spent: bool


class Limits:
    """The two limits, held against what is read with a conversation.

    The day is that of `timezone`, the business's.
    """

    def __init__(self, pool: Pool, usage: Usage, *, calls_per_day: int, timezone: ZoneInfo) -> None:
        self.calls_per_day = calls_per_day
        self.timezone = timezone
        self._pool = pool
        self._usage = usage
        self._beginning = asyncio.Lock()

    async def allowance(self, work: Work) -> Allowance:
        """What is left to answer this conversation with, as it was found.

        Raises one of `LOST` if a new day has begun and the database is away.
        """
        tally = await self._tally(work)
        free_at = work.filled_at and work.filled_at.astimezone(UTC) + WINDOW
        return Allowance(
            free_at=free_at if free_at and free_at > work.now else None,
            spent=tally.calls >= self.calls_per_day,
        )

    async def _tally(self, work: Work) -> Tally:
        midnight = midnight_before(work.now, self.timezone)
        if work.tally.midnight == midnight:
            return work.tally
        async with self._beginning:
            if self._usage.tally.midnight == midnight:
                return self._usage.tally
            return await self._usage.begin(self._pool, midnight)


def midnight_before(now: datetime, timezone: ZoneInfo) -> datetime:
    """When the day of `now` (aware) began on the wall clock of `timezone`."""
    return datetime.combine(now.astimezone(timezone).date(), time(), tzinfo=timezone)
