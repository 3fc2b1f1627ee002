"""What to do next in a conversation: pure decisions over how it stands."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

import msgspec

from frostdesk.store.work import Unfinished, Work, WorkBooking

SETTLE = timedelta(seconds=20)
"""How long a send of unknown outcome waits for a status that names it."""


class Send(msgspec.Struct, frozen=True):
    """Bring a reply to WhatsApp. `repeat` says that it may have been sent before."""

    reply: Unfinished
    repeat: bool


class GiveUpSending(msgspec.Struct, frozen=True):
    """A reply has been sent a second time, and again nobody knows what came of it."""

    reply: Unfinished


class Announce(msgspec.Struct, frozen=True):
    """Tell the customer what the instructor has decided about a booking."""

    booking: WorkBooking


class Answer(msgspec.Struct, frozen=True):
    """Answer everything that waits, in one reply."""

    waiting: tuple[Unfinished, ...]


Step = Send | GiveUpSending | Announce | Answer


def next_step(work: Work, *, unsent: Collection[UUID]) -> Step | None:
    """The next thing to do in a conversation, or None where nothing can be done now.

    `unsent` are the replies of which it is certain that they have not left yet.
    """
    for reply in work.unfinished:
        if reply.role == "assistant" and (step := _send(reply, work, unsent)):
            return step
    for booking in work.bookings:
        if booking.unannounced:
            return Announce(booking)
    return Answer(work.waiting) if work.waiting else None


def _send(reply: Unfinished, work: Work, unsent: Collection[UUID]) -> Step | None:
    """Sending, where it is due: what may be on its way already waits for word of it."""
    if reply.status == "pending" and reply.id in unsent:
        return Send(reply, repeat=False)
    if work.now - reply.step_at < SETTLE:
        return None
    return GiveUpSending(reply) if reply.status == "repeated" else Send(reply, repeat=True)


def not_due(work: Work, *, unsent: Collection[UUID]) -> tuple[UUID, ...]:
    """The replies that wait for word of an earlier send."""
    return tuple(m.id for m in work.unfinished if m.role == "assistant" and m.id not in unsent)
