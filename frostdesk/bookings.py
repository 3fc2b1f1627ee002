"""The booking's state machine: pure functions from what happened and a command to a new event.

pending → confirmed, pending → cancelled, confirmed → cancelled, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal
from uuid import UUID

import msgspec

from frostdesk.errors import ConflictError, NotFoundError
from frostdesk.events import BookingCancelled, BookingConfirmed, BookingProposed, Event, Lesson

Status = Literal["pending", "confirmed", "cancelled"]
Command = Literal["confirm", "cancel"]

BOOKING_TYPES = ("BookingProposed", "BookingConfirmed", "BookingCancelled")
"""The events that the state of a booking follows from."""


class BookingState(msgspec.Struct, frozen=True):
    """A booking as far as a decision needs it."""

    lesson: Lesson
    status: Status


def replay(events: Iterable[tuple[UUID, Event]]) -> dict[UUID, BookingState]:
    """The bookings that a conversation's events, given with their ids in order, lead to."""
    bookings: dict[UUID, BookingState] = {}
    for event_id, event in events:
        match event:
            case BookingProposed(lesson=lesson):
                bookings[event_id] = BookingState(lesson, "pending")
            case BookingConfirmed(booking_id=booking_id, lesson=lesson):
                bookings[booking_id] = BookingState(lesson, "confirmed")
            case BookingCancelled(booking_id=booking_id, lesson=lesson):
                bookings[booking_id] = BookingState(lesson, "cancelled")
            case _:
                pass
    return bookings


def decide(
    bookings: Mapping[UUID, BookingState], booking_id: UUID, command: Command
) -> BookingConfirmed | BookingCancelled | None:
    """The event that `command` leads to, or None where it has been carried out before.

    Raises:
        NotFoundError: there is no such booking.
        ConflictError: a cancelled booking cannot be confirmed.
    """
    booking = bookings.get(booking_id)
    if booking is None:
        raise NotFoundError(f"There is no booking {booking_id}.")
    match command, booking.status:
        case ("confirm", "pending"):
            return BookingConfirmed(booking_id=booking_id, lesson=booking.lesson)
        case ("cancel", "pending" | "confirmed"):
            return BookingCancelled(booking_id=booking_id, lesson=booking.lesson)
        case ("confirm", "cancelled"):
            raise ConflictError(
                f"Booking {booking_id} is cancelled, and a cancelled booking stays so. "
                "Ask the customer for a new one."
            )
    return None
