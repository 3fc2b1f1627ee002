"""The booking's state machine."""

from __future__ import annotations

from datetime import date, time
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostdesk.bookings import BOOKING_TYPES, BookingState, Command, Status, decide, replay
from frostdesk.errors import ConflictError, NotFoundError
from frostdesk.events import Event
from tests.factories import cancelled, confirmed, lesson, proposed, received

ALLOWED: dict[tuple[Status, Command], Status] = {
    ("pending", "confirm"): "confirmed",
    ("pending", "cancel"): "cancelled",
    ("confirmed", "cancel"): "cancelled",
    ("confirmed", "confirm"): "confirmed",
    ("cancelled", "cancel"): "cancelled",
}


@given(
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["confirm", "cancel"])), max_size=20),
)
def test_no_sequence_of_commands_leaves_the_state_machine(
    bookings: int, commands: list[tuple[int, Command]]
) -> None:
    """Whatever is ordered, each booking goes where it may, and nowhere else."""
    proposals = [proposed() for _ in range(bookings)]
    log: list[tuple[UUID, Event]] = [(p.id, p.event) for p in proposals]
    for number, command in commands:
        booking_id = proposals[number % bookings].id
        before = replay(log)[booking_id].status
        try:
            event = decide(replay(log), booking_id, command)
        except ConflictError:
            assert (before, command) not in ALLOWED
            continue
        if event is not None:
            log.append((uuid4(), event))
        after = replay(log)[booking_id].status
        assert after == ALLOWED[before, command]
        assert (event is None) is (before == after)


def test_a_decision_keeps_the_lesson() -> None:
    """A confirmation says which lesson it is about."""
    slot = lesson()
    event = decide({(booking_id := uuid4()): BookingState(slot, "pending")}, booking_id, "confirm")
    assert event is not None
    assert (event.booking_id, event.lesson) == (booking_id, slot)


def test_an_unknown_booking_is_not_found() -> None:
    """What was never proposed can be neither confirmed nor cancelled."""
    for command in ("confirm", "cancel"):
        with pytest.raises(NotFoundError, match="no booking"):
            decide({}, uuid4(), command)


def test_a_cancelled_booking_says_why_it_stays_so() -> None:
    """The refusal names the booking and what to do."""
    booking = proposed()
    log = [(new.id, new.event) for new in (booking, cancelled(booking))]
    with pytest.raises(ConflictError, match=f"{booking.id}.*new one"):
        decide(replay(log), booking.id, "confirm")


def test_other_events_mean_nothing_to_a_booking() -> None:
    """Only the three kinds of event move a booking."""
    booking = proposed()
    log = [(new.id, new.event) for new in (received(), booking, confirmed(booking), received())]
    assert {state.status for state in replay(log).values()} == {"confirmed"}
    assert set(BOOKING_TYPES) == {"BookingProposed", "BookingConfirmed", "BookingCancelled"}


def test_a_lesson_across_midnight_overlaps_the_next_day() -> None:
    """23:30 for an hour meets 00:15 of the next day, and not 00:30."""
    late = lesson(date(2027, 1, 16), time(23, 30), 60)
    assert late.overlaps(lesson(date(2027, 1, 17), time(0, 15), 30))
    assert not late.overlaps(lesson(date(2027, 1, 17), time(0, 30), 30))
