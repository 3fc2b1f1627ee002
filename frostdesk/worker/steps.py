"""What to do next in a conversation: pure decisions over how it stands."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from frostdesk.store.work import Unfinished, Work, WorkBooking
from frostdesk.wording.optout import wants_messages_again, wants_no_messages

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


class Stop(msgspec.Struct, frozen=True):
    """Confirm that no automatic message follows, as the customer has asked by `message`."""

    message: Unfinished


class Resume(msgspec.Struct, frozen=True):
    """Take the stop back, as the customer has asked by `message`."""

    message: Unfinished


class Withhold(msgspec.Struct, frozen=True):
    """Put on record that nothing is said by itself: about these messages, or about a decision."""

    reason: Literal["paused", "stopped"]
    waiting: tuple[Unfinished, ...] = ()
    booking: WorkBooking | None = None


Step = Send | GiveUpSending | Announce | Answer | Stop | Resume | Withhold


def next_step(work: Work, *, unsent: Collection[UUID]) -> Step | None:
    """The next thing to do in a conversation, or None where nothing can be done now.

    `unsent` are the replies of which it is certain that they have not left yet. What the log knows
    as answered or told is not done again, whatever its row says.
    """
    for reply in work.unfinished:
        if reply.role == "assistant" and (step := _send(reply, work, unsent)):
            return step
    waits = bool(work.waiting) and not work.answered
    if waits and (step := _stop_or_resume(work)):
        return step
    for booking in work.bookings:
        if booking.untold:
            return Withhold("stopped", booking=booking) if work.stopped else Announce(booking)
    return _answer(work) if waits else None


def _send(reply: Unfinished, work: Work, unsent: Collection[UUID]) -> Step | None:
    """Sending, where it is due: what may be on its way already waits for word of it."""
    if reply.status == "pending" and reply.id in unsent:
        return Send(reply, repeat=False)
    # A step that lies ahead was taken before the clock was set back.
    if abs(work.now - reply.step_at) < SETTLE:
        return None
    return GiveUpSending(reply) if reply.status == "repeated" else Send(reply, repeat=True)


def _stop_or_resume(work: Work) -> Step | None:
    """What the last such word asks for, where it is not so already."""
    for message in reversed(work.waiting):
        if wants_no_messages(message.text):
            return None if work.stopped else Stop(message)
        if wants_messages_again(message.text):
            return Resume(message) if work.stopped else None
    return None


def _answer(work: Work) -> Step:
    if work.stopped:
        return Withhold("stopped", waiting=work.waiting)
    if work.paused:
        return Withhold("paused", waiting=work.waiting)
    return Answer(work.waiting)


def made_since(work: Work, claimed_at: datetime) -> frozenset[UUID]:
    """The replies that came to wait since we claimed the conversation: nobody else sends here."""
    return frozenset(
        message.id
        for message in work.unfinished
        if message.status == "pending" and message.step_at > claimed_at
    )


def just_made(work: Work, reply_id: UUID, text: str) -> Unfinished:
    """A reply that has been appended a moment ago, as `load` would give it."""
    return Unfinished(
        id=reply_id,
        role="assistant",
        status="pending",
        text=text,
        step_at=work.now,
        whatsapp_id=None,
    )


def not_due(work: Work, *, unsent: Collection[UUID]) -> tuple[UUID, ...]:
    """The replies that wait for word of an earlier send."""
    return tuple(m.id for m in work.unfinished if m.role == "assistant" and m.id not in unsent)
