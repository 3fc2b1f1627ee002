"""What a worker works with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from uuid import UUID

import msgspec
import structlog

from frostdesk.assistant.instructions import InstructionFiles
from frostdesk.assistant.model import Model
from frostdesk.limits import Limits
from frostdesk.settings import Settings
from frostdesk.store.append import Appended, EventStore, Expected, NewEvent
from frostdesk.store.claims import CLAIM_SECONDS, Claims, renew
from frostdesk.store.database import LOST, Pool
from frostdesk.whatsapp.client import WhatsApp
from frostdesk.worker.clock import DatabaseClock

LONGEST_PAUSE_SECONDS = 2.0

SURE_SECONDS = CLAIM_SECONDS - 5.0
"""How long a claim is ours without asking, by our own clock, once it was taken or renewed."""

LEFT_ALONE_SECONDS = 60.0
"""How long the sweep passes over a conversation in which nothing can be done."""

log = structlog.get_logger(__name__)


class Context(msgspec.Struct, kw_only=True, eq=False):
    """The edges that the reactions of one worker share, and the conversations that it holds.

    `dropped_calls` are the model calls, a conversation, that went into answers dropped since.
    `sure_until` tells how long each conversation is ours for certain, `left_until` how long the
    sweep leaves one alone, by our own clock.
    """

    settings: Settings
    pool: Pool
    store: EventStore
    model: Model
    instructions: InstructionFiles
    whatsapp: WhatsApp
    limits: Limits
    claims: Claims
    clock: DatabaseClock
    held: dict[object, UUID] = msgspec.field(default_factory=dict)
    dropped_calls: dict[UUID, int] = msgspec.field(default_factory=dict)
    renewing: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)
    sure_until: dict[UUID, float] = msgspec.field(default_factory=dict)
    left_until: dict[UUID, float] = msgspec.field(default_factory=dict)

    def hold(self, token: object, conversation_id: UUID, *, since: float) -> None:
        """Keep a conversation that was claimed not before `since`, by our own clock."""
        self.held[token] = conversation_id
        self.sure_until[conversation_id] = since + SURE_SECONDS

    async def renew(self, *conversation_ids: UUID) -> set[UUID]:
        """Renew the claims of these, or of all that are held. Gives those that are still ours."""
        async with self.renewing:
            since = time.monotonic()
            wanted = list(conversation_ids or set(self.held.values()))
            ours = await renew(self.pool, wanted, holder=self.claims.holder)
            for conversation_id in wanted:
                self.sure_until.pop(conversation_id, None)
            still_held = ours.intersection(self.held.values())
            self.sure_until |= dict.fromkeys(still_held, since + SURE_SECONDS)
            return ours

    async def still_holds(self, conversation_id: UUID) -> bool:
        """Whether nobody else has it: we may have stood still, or the database been away."""
        if time.monotonic() < self.sure_until.get(conversation_id, 0.0):
            return True
        return conversation_id in await self.renew(conversation_id)

    async def renew_no_longer(self, token: object) -> None:
        """Take a conversation out of `held`, to give it back.

        Waits for a renewal that is under way: it would bring back the claim that is given up,
        and the conversation would be nobody's until that runs out.
        """
        async with self.renewing:
            self.held.pop(token, None)

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        conversation_id: UUID,
        expected: Expected | None = None,
    ) -> list[Appended]:
        """Append, however long the database is away: what happened outside must not be forgotten.

        Raises VersionConflictError if what was `expected` is not so.
        """
        pause = 0.1
        while True:
            try:
                return await self.store.append(
                    events, conversation_id=conversation_id, expected=expected
                )
            except LOST as error:
                log.warning("postgresql is away, appending again", error=repr(error))
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2)
