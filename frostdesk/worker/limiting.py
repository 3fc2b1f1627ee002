"""Where a limit bites: an answer that has to wait a little, or that is left to the instructor."""

from __future__ import annotations

from datetime import datetime

import structlog

from frostdesk.events import AnswerDeferred, ReplyFailed, derive_id
from frostdesk.store.append import NewEvent
from frostdesk.store.work import Work
from frostdesk.worker.answering import fail
from frostdesk.worker.context import Context

log = structlog.get_logger(__name__)


async def postponed(context: Context, work: Work) -> datetime | None:
    """When (UTC) the customer who waits may be answered, or None for now. It is put on record."""
    allowance = await context.limits.allowance(context.pool, work.conversation_id, now=work.now)
    if allowance.free_at:
        await _defer(context, work, allowance.free_at)
    elif allowance.spent:
        await _refuse(context, work)
    return allowance.free_at


async def _defer(context: Context, work: Work, until: datetime) -> None:
    log.warning("the customer writes too fast, the answer waits", until=until.isoformat())
    answers = tuple(message.id for message in work.waiting)
    new = NewEvent(
        id=derive_id("deferred", answers[-1], until.isoformat()),
        event=AnswerDeferred(until=until, answers=answers),
        actor="system",
        causation_id=answers[-1],
        correlation_id=answers[0],
    )
    await context.append([new], conversation_id=work.conversation_id)


async def _refuse(context: Context, work: Work) -> None:
    limits = context.limits
    reason = (
        f"today's budget of {limits.calls_per_day} model calls is spent; it begins anew at midnight"
        f" ({limits.timezone.key}). Answer in person, or retry then, or raise"
        " FROSTDESK_MODEL_CALLS_PER_DAY"
    )
    answers = tuple(message.id for message in work.waiting)
    failure = ReplyFailed(stage="limit", reason=reason, attempts=0, answers=answers)
    await fail(context, work, failure)
