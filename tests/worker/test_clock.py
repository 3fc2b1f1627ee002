"""A worker's idea of the database's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from frostdesk.worker.clock import NEVER, DatabaseClock

NOW = datetime(2027, 1, 16, 10, tzinfo=UTC)


@pytest.fixture
def clock() -> DatabaseClock:
    """A clock that has been steady at two beats."""
    clock = DatabaseClock()
    for _ in range(2):
        clock.showed(NOW)
    return clock


def test_nothing_has_run_out_at_the_first_beat() -> None:
    """Who has just begun cannot tell whose claims are renewed."""
    clock = DatabaseClock()
    clock.showed(NOW)
    assert not clock.steady
    assert clock.run_out_by() == NEVER


def test_a_steady_clock_goes_on_between_beats(clock: DatabaseClock) -> None:
    """Claims that ended up to the present moment have run out."""
    assert clock.steady
    assert NOW <= clock.run_out_by() < NOW + timedelta(minutes=1)


@pytest.mark.parametrize("leap", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_clock_that_was_set_is_not_steady_for_a_beat(
    clock: DatabaseClock, leap: timedelta
) -> None:
    """Between two beats a claim is compared with the old time; then everybody may renew."""
    assert clock.run_out_by() < NOW + timedelta(minutes=1)
    clock.showed(NOW + leap)
    assert not clock.steady
    clock.showed(NOW + leap)
    assert clock.steady


def test_after_an_outage_two_beats_have_to_pass(clock: DatabaseClock) -> None:
    """A database that was away lets everybody renew first."""
    clock.was_away()
    clock.showed(NOW)
    assert not clock.steady
    clock.showed(NOW)
    assert clock.steady
