"""What a worker works with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import msgspec
import structlog

from frostdesk.assistant.instructions import InstructionFiles
from frostdesk.assistant.model import Model
from frostdesk.limits import Limits
from frostdesk.settings import Settings
from frostdesk.store.append import Appended, EventStore, Expected, NewEvent
from frostdesk.store.database import LOST, Pool
from frostdesk.store.work import Claims
from frostdesk.whatsapp.client import WhatsApp

LONGEST_PAUSE_SECONDS = 2.0

log = structlog.get_logger(__name__)


class Context(msgspec.Struct, kw_only=True, eq=False):
    """The edges that the reactions of one worker share, and the conversations that it holds.

    `dropped_calls` are the model calls, a conversation, that went into answers dropped since.
    """

    settings: Settings
    pool: Pool
    store: EventStore
    model: Model
    instructions: InstructionFiles
    whatsapp: WhatsApp
    limits: Limits
    claims: Claims
    held: dict[object, UUID] = msgspec.field(default_factory=dict)
    dropped_calls: dict[UUID, int] = msgspec.field(default_factory=dict)
    renewing: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)

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
