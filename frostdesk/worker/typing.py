"""The read mark and the typing indicator, while an answer is being made."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from frostdesk.errors import FrostDeskError
from frostdesk.store.work import Work
from frostdesk.worker.context import Context

AFTER_SECONDS = 0.7
"""An answer that is there sooner needs no indicator."""

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def shown_as_typing(context: Context, work: Work) -> AsyncIterator[None]:
    """Let the customer see that the message was read and an answer is on its way."""
    showing = asyncio.create_task(_show(context, work))
    try:
        yield
    finally:
        showing.cancel()


async def _show(context: Context, work: Work) -> None:
    """Show it, if it can be done: an answer does not depend on it."""
    await asyncio.sleep(AFTER_SECONDS)
    number = work.phone_number_id or context.settings.whatsapp_phone_number_id
    whatsapp_id = work.waiting[-1].whatsapp_id
    if whatsapp_id is None:
        return
    try:
        await context.whatsapp.mark_read(phone_number_id=number, whatsapp_id=whatsapp_id)
    except FrostDeskError as error:
        log.info("typing was not shown", reason=str(error))
