"""How many calls of the model the log tells of: a customer's last ones, and everybody's today.

The queries here are part of what is read with a conversation (`frostdesk.store.work`).
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from frostdesk.store.database import Pool
from frostdesk.store.reading import position_before

# A reply from before its calls were counted took one, if a model wrote it.
CALLS = """
CASE WHEN type = 'ReplyGenerated'
     THEN coalesce((data ->> 'calls')::int, (data ? 'model')::int)
     WHEN type = 'ReplyFailed' AND data ->> 'stage' = 'model' THEN (data ->> 'attempts')::int
     ELSE 0 END
"""

# Newest first, the calls of the conversation `c` are added up until the limit is reached: when that
# answer leaves the window, there is room for another one.
FILLED_AT = f"""
SELECT recorded_at
  FROM (SELECT recorded_at, version, sum(made) OVER (ORDER BY version DESC) AS total
          FROM (SELECT version, recorded_at, made
                  FROM events CROSS JOIN LATERAL (SELECT {CALLS} AS made) AS counted
                 WHERE conversation_id = c.id
                   AND type IN ('ReplyGenerated', 'ReplyFailed') AND made > 0
                 ORDER BY version DESC LIMIT calls_per_minute) AS newest) AS added
 WHERE total >= calls_per_minute ORDER BY version DESC LIMIT 1
"""

USED = f"""
SELECT json_build_object(
    'head', (SELECT coalesce(max(position), 0) FROM events),
    'calls', (SELECT coalesce(sum({CALLS}), 0) FROM events
               WHERE position > counted_to AND type IN ('ReplyGenerated', 'ReplyFailed')))
"""


class Tally(msgspec.Struct, frozen=True):
    """The calls of the day that began at `midnight` (aware), up to a position of the log."""

    midnight: datetime
    position: int
    calls: int


NOTHING = Tally(datetime.min.replace(tzinfo=UTC), 2**63 - 1, 0)
"""What a process knows that has not counted yet: no day, and nothing to add to it."""


class _Used(msgspec.Struct, frozen=True):
    head: int
    calls: int


_used = msgspec.json.Decoder(_Used).decode


class Usage:
    """What a process has seen used, so that it need only count what has come since.

    A customer's minute is full with `calls_per_minute` calls.
    """

    def __init__(self, *, calls_per_minute: int) -> None:
        self.calls_per_minute = calls_per_minute
        self.tally = NOTHING

    def add(self, before: Tally, used: str) -> Tally:
        """The tally that `before` becomes by what was counted from its position on."""
        counted = _used(used)
        after = Tally(before.midnight, counted.head, before.calls + counted.calls)
        if after.midnight == self.tally.midnight and after.position > self.tally.position:
            self.tally = after
        return after

    async def begin(self, pool: Pool, midnight: datetime) -> Tally:
        """The tally of a day of which this process knows nothing yet, and which is counted now."""
        since = await position_before(pool, midnight)
        used = await pool.fetchval(USED.replace("counted_to", "$1"), since)
        self.tally = Tally(midnight, since, 0)
        return self.add(self.tally, used)
