"""How often the model may be called: for one customer in a minute, for everybody in a day.

Both are counted from the log, so every worker sees the same, and nothing is forgotten with Redis or
a process. What is being written just now is not in the log yet: with many workers a day's budget
may be overrun by the calls under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from frostdesk.store.database import Pool
from frostdesk.store.functions import PLANNED_ONCE, call, function
from frostdesk.store.reading import position_before
from frostdesk.store.together import Together

WINDOW = timedelta(minutes=1)

# A reply from before its calls were counted took one, if a model wrote it.
CALLS = """
CASE WHEN type = 'ReplyGenerated'
     THEN coalesce((data ->> 'calls')::int, (data ? 'model')::int)
     WHEN type = 'ReplyFailed' AND data ->> 'stage' = 'model' THEN (data ->> 'attempts')::int
     ELSE 0 END
"""

# Newest first, the conversation's calls are added up until the limit is reached: when that answer
# leaves the window, there is room for another one.
USED = function(
    "calls_used",
    f"""
CREATE OR REPLACE FUNCTION {{name}}(uuid[], int, bigint)
    RETURNS TABLE (id uuid, filled_at timestamptz, head bigint, calls bigint)
    LANGUAGE plpgsql {PLANNED_ONCE} AS $used$
#variable_conflict use_column
BEGIN
RETURN QUERY
SELECT asked.id, filled.recorded_at AS filled_at, head, calls
  FROM (SELECT (SELECT coalesce(max(position), 0) FROM events) AS head,
               (SELECT coalesce(sum({CALLS}), 0) FROM events
                 WHERE position > $3 AND type IN ('ReplyGenerated', 'ReplyFailed')) AS calls) AS day
 CROSS JOIN unnest($1::uuid[]) AS asked (id)
  LEFT JOIN LATERAL (
      SELECT recorded_at
        FROM (SELECT recorded_at, version, sum(made) OVER (ORDER BY version DESC) AS total
                FROM (SELECT version, recorded_at, made
                        FROM events CROSS JOIN LATERAL (SELECT {CALLS} AS made) AS counted
                       WHERE conversation_id = asked.id
                         AND type IN ('ReplyGenerated', 'ReplyFailed') AND made > 0
                       ORDER BY version DESC LIMIT $2) AS newest) AS added
       WHERE total >= $2 ORDER BY version DESC LIMIT 1) AS filled ON true;
END $used$;
""",
    arguments=3,
)


class Allowance(msgspec.Struct, frozen=True):
    """Whether a customer may be answered now.

    `free_at` (UTC) is when the customer's pace allows it, or None where it does now; `spent` says
    that nobody may be answered any longer today.
    """

    free_at: datetime | None
    spent: bool


class _Tally(msgspec.Struct, frozen=True):
    """The calls of the day that began at `midnight`, up to a position of the log."""

    midnight: datetime
    position: int
    calls: int


class Limits:
    """The two limits, and how much of the day's budget this process has seen used.

    The day is that of `timezone`, the business's.
    """

    def __init__(
        self, pool: Pool, *, calls_per_minute: int, calls_per_day: int, timezone: ZoneInfo
    ) -> None:
        self.calls_per_day = calls_per_day
        self.timezone = timezone
        self._pool = pool
        self._calls_per_minute = calls_per_minute
        self._tally: _Tally | None = None
        self._asking = Together(self._allowances)

    async def allowance(self, conversation_id: UUID, *, now: datetime) -> Allowance:
        """What is left to answer this conversation with, at `now` (aware, the database's clock).

        Raises one of `LOST` if the database is away.
        """
        allowance = await self._asking((conversation_id, now))
        assert allowance is not None  # noqa: S101  # one for each that is asked
        return allowance

    async def _allowances(
        self, asked: Sequence[tuple[UUID, datetime]]
    ) -> dict[tuple[UUID, datetime], Allowance]:
        latest = max(now for _, now in asked)
        before = await self._tally_of(midnight_before(latest, self.timezone))
        async with self._pool.acquire() as connection:
            rows = await call(
                connection, USED, [of for of, _ in asked], self._calls_per_minute, before.position
            )
        after = _Tally(before.midnight, rows[0]["head"], before.calls + rows[0]["calls"])
        self._tally = max(self._tally or after, after, key=lambda t: (t.midnight, t.position))
        spent = after.calls >= self.calls_per_day
        filled_at = {row["id"]: row["filled_at"] for row in rows}
        return {(of, now): _allowance(filled_at[of], now, spent=spent) for of, now in asked}

    async def _tally_of(self, midnight: datetime) -> _Tally:
        if self._tally and self._tally.midnight == midnight:
            return self._tally
        return _Tally(midnight, await position_before(self._pool, midnight), 0)


def _allowance(filled_at: datetime | None, now: datetime, *, spent: bool) -> Allowance:
    free_at = filled_at and filled_at + WINDOW
    return Allowance(free_at=free_at if free_at and free_at > now else None, spent=spent)


def midnight_before(now: datetime, timezone: ZoneInfo) -> datetime:
    """When the day of `now` (aware) began on the wall clock of `timezone`."""
    return datetime.combine(now.astimezone(timezone).date(), time(), tzinfo=timezone)
