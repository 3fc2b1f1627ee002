"""Who is working on which conversation.

A conversation is worked on by one worker at a time, which holds a claim that it keeps renewing.
Claims only save work: whatever two workers did at once, derived ids make harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

import msgspec

from frostdesk.store.database import Pool
from frostdesk.store.functions import PLANNED_ONCE, call, function
from frostdesk.store.together import Together
from frostdesk.store.usage import Usage
from frostdesk.store.work import FOR_ALL, WORK, Work, load, works_in

CLAIM_SECONDS = 20
"""How long a claim outlives the worker that has stopped renewing it."""

NOBODY = UUID(int=0)
"""Holds a conversation that has to wait, until then."""

DEFERRED_SECONDS = 120
"""A customer's pace makes an answer wait for a minute at most; for more, the clock was set."""

# Whoever touches several claims takes them in one order, so that nobody waits in a circle.
CLAIM = f"""
INSERT INTO claims AS c (conversation_id, holder, until)
SELECT id, $2, clock_timestamp() + interval '{CLAIM_SECONDS} s'
  FROM unnest($1::uuid[]) AS id ORDER BY id
    ON CONFLICT (conversation_id) DO UPDATE
   SET holder = excluded.holder, until = excluded.until, attempts = c.attempts + 1
 WHERE c.until < clock_timestamp()
       AND (c.holder = '{NOBODY}' OR $4::timestamptz IS NULL OR c.until < $4)
    OR ($3 AND c.holder = '{NOBODY}')
RETURNING conversation_id, attempts, clock_timestamp() AS at
"""

# A claim that a crash of the database has wiped out is made again.
RENEW = f"""
INSERT INTO claims AS c (conversation_id, holder, until)
SELECT id, $2, clock_timestamp() + interval '{CLAIM_SECONDS} s'
  FROM unnest($1::uuid[]) AS id ORDER BY id
    ON CONFLICT (conversation_id) DO UPDATE SET until = excluded.until
 WHERE c.holder = excluded.holder
RETURNING conversation_id
"""

# The clock has gone back, and a claim would hold long after its holder has vanished.
SHORTEN = f"""
UPDATE claims SET until = clock_timestamp() + interval '{CLAIM_SECONDS} s'
 WHERE until > clock_timestamp() + CASE holder WHEN '{NOBODY}' THEN interval '{DEFERRED_SECONDS} s'
                                               ELSE interval '{CLAIM_SECONDS + 1} s' END
"""

# Not released while there is something that can be done now: whoever rang in the meantime found
# the claim taken and left it to its holder. Each LIMIT makes the planner look up by key.
RELEASE = function(
    "release",
    f"""
CREATE OR REPLACE FUNCTION {{name}}(uuid[], uuid, uuid[]) RETURNS TABLE (kept uuid)
    LANGUAGE plpgsql {PLANNED_ONCE} AS $release$
BEGIN
    -- As when it was taken: reading may tidy pages, which is logged.
    PERFORM set_config('synchronous_commit', 'off', true);
    RETURN QUERY
    WITH mine AS (
        SELECT conversation_id FROM claims WHERE conversation_id = ANY ($1) AND holder = $2
         ORDER BY conversation_id FOR UPDATE
    ),
    released AS (
        DELETE FROM claims c USING mine m
         WHERE c.conversation_id = m.conversation_id
           AND (SELECT true FROM messages
                 WHERE conversation_id = m.conversation_id AND status = 'waiting' LIMIT 1) IS NULL
           AND (SELECT true FROM bookings
                 WHERE conversation_id = m.conversation_id
                   AND decision_id IS DISTINCT FROM announced_id LIMIT 1) IS NULL
           AND (SELECT true FROM messages
                 WHERE conversation_id = m.conversation_id AND status = 'pending'
                   AND id <> ALL ($3) LIMIT 1) IS NULL
        RETURNING c.conversation_id
    )
    SELECT conversation_id FROM mine EXCEPT SELECT conversation_id FROM released;
END $release$;
""",
    arguments=3,
)

DEFER = f"""
UPDATE claims SET holder = '{NOBODY}', until = $3, attempts = 0
 WHERE conversation_id = $1 AND holder = $2
"""

ABANDON = "DELETE FROM claims WHERE holder = $1 AND ($2::uuid IS NULL OR conversation_id = $2)"
# What is loaded is read after the claim was had, and so after all that its last holder did.
TAKE = function(
    "take",
    f"""
CREATE OR REPLACE FUNCTION {{name}}(uuid[], uuid, boolean, timestamptz,
                                  calls_per_minute int, counted_to bigint)
    RETURNS TABLE (id uuid, attempts int, at timestamptz, work json, taken json, used json)
    LANGUAGE plpgsql {PLANNED_ONCE} AS $take$
#variable_conflict use_column
DECLARE
    claimed json;
BEGIN
    -- Claims do not outlive a crash in any case, so they need not wait for what reading writes.
    PERFORM set_config('synchronous_commit', 'off', true);
    WITH claim AS ({CLAIM}) SELECT json_agg(claim) INTO claimed FROM claim;
    RETURN QUERY
    SELECT claim.conversation_id, claim.attempts, claim.at, found.work, {FOR_ALL}
      FROM json_to_recordset(claimed)
        AS claim (conversation_id uuid, attempts int, at timestamptz)
      LEFT JOIN ({WORK}) AS found ON found.id = claim.conversation_id;
END $take$;
""",
    arguments=6,
)


class Claim(msgspec.Struct, frozen=True):
    """A conversation taken at a time, by the database's clock, and what there was to do in it.

    It is the second attempt or later if the holders before have vanished without releasing.
    """

    attempts: int
    at: datetime
    work: Work | None


class Claims:
    """The conversations that `holder` works on. What is asked for at once goes out together.

    `run_out_by` tells before which moment, by the database's clock, a claim has to have ended for
    its holder to count as vanished; None leaves that to the clock alone.
    """

    def __init__(
        self,
        pool: Pool,
        usage: Usage,
        *,
        holder: UUID,
        run_out_by: Callable[[], datetime | None] = lambda: None,
    ) -> None:
        self.holder = holder
        self._run_out_by = run_out_by
        self._pool = pool
        self._usage = usage
        self._claiming = Together(self._claim)
        self._loading = Together(partial(load, pool, usage=usage))
        self._releasing = Together(self._release)

    async def claim(self, conversation_id: UUID, *, urgent: bool = False) -> Claim | None:
        """Take the conversation, or return None if another worker has it.

        One that has to wait can be taken only where it is `urgent`; one whose holder has stopped
        renewing its claim, where that has run out.
        """
        if urgent:
            return (await self._claim([conversation_id], urgent=True)).get(conversation_id)
        return await self._claiming(conversation_id)

    async def load(self, conversation_id: UUID) -> Work | None:
        """The conversation as it stands, or None if there is none."""
        return await self._loading(conversation_id)

    async def release(self, conversation_id: UUID, *, leaving: Sequence[UUID] = ()) -> bool:
        """Give the conversation back, unless there is more to do than the messages in `leaving`.

        Returns whether the holder has it no longer.
        """
        return await self._releasing((conversation_id, tuple(leaving))) is not None

    async def _claim(self, ids: Sequence[UUID], *, urgent: bool = False) -> dict[UUID, Claim]:
        usage, before = self._usage, self._usage.tally
        arguments = (ids, self.holder, urgent, self._run_out_by())
        counting = (usage.calls_per_minute, before.position)
        async with self._pool.acquire() as connection:
            rows = await call(connection, TAKE, *arguments, *counting)
        found = works_in(rows, usage, before)
        return {row["id"]: Claim(row["attempts"], row["at"], found.get(row["id"])) for row in rows}

    async def _release(
        self, asked: Sequence[tuple[UUID, tuple[UUID, ...]]]
    ) -> dict[tuple[UUID, tuple[UUID, ...]], bool]:
        ids = [conversation_id for conversation_id, _ in asked]
        leaving = [message_id for _, left in asked for message_id in left]
        async with self._pool.acquire() as connection:
            kept = {row[0] for row in await call(connection, RELEASE, ids, self.holder, leaving)}
        return {question: True for question in asked if question[0] not in kept}


async def renew(pool: Pool, conversation_ids: Sequence[UUID], *, holder: UUID) -> set[UUID]:
    """Keep these claims of `holder` for another CLAIM_SECONDS. Gives those that are not lost.

    Claims that last too long, of whomever, are cut to what they may be.
    """
    await pool.execute(SHORTEN)
    rows = await pool.fetch(RENEW, conversation_ids, holder)
    return {row["conversation_id"] for row in rows}


async def defer(pool: Pool, conversation_id: UUID, *, holder: UUID, until: datetime) -> None:
    """Give the conversation back and leave it alone until then, whoever rings meanwhile."""
    await pool.execute(DEFER, conversation_id, holder, until)


async def abandon(pool: Pool, *, holder: UUID, conversation_id: UUID | None = None) -> None:
    """Give back one conversation, or all that `holder` has, whatever remains to be done."""
    await pool.execute(ABANDON, holder, conversation_id)
