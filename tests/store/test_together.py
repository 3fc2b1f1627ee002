"""Questions that go out together."""

from __future__ import annotations

import asyncio

import pytest

from frostdesk.store.together import Together
from tests.support.keeping import forgets_its_caller


class Oracle:
    """Answers with the square, and notes which questions came together."""

    def __init__(self) -> None:
        self.trips: list[list[int]] = []
        self.was_asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def ask(self, numbers: list[int]) -> dict[int, int]:
        """The squares of those that are not negative. Fails where there is a zero."""
        self.trips.append(numbers)
        self.was_asked.set()
        await self.may_answer.wait()
        if 0 in numbers:
            raise ZeroDivisionError
        return {number: number**2 for number in numbers if number > 0}


async def test_the_next_trip_collects_while_one_is_under_way() -> None:
    """The first question waits for nobody; those that come meanwhile share a trip."""
    oracle = Oracle()
    square = Together(oracle.ask)
    first = asyncio.create_task(square(1))
    await asyncio.wait_for(oracle.was_asked.wait(), 10)
    others = [asyncio.create_task(square(number)) for number in (2, 3, -4)]
    await asyncio.sleep(0)
    oracle.may_answer.set()
    assert await asyncio.gather(first, *others) == [1, 4, 9, None]
    assert oracle.trips == [[1], [2, 3, -4]]


async def test_a_failure_reaches_everybody_who_asked_and_nobody_after() -> None:
    """What fails is the trip and not the way."""
    oracle = Oracle()
    oracle.may_answer.set()
    square = Together(oracle.ask)
    failed = await asyncio.gather(square(0), square(5), return_exceptions=True)
    assert [type(error) for error in failed] == [ZeroDivisionError, ZeroDivisionError]
    assert await square(5) == 25


async def test_a_failure_keeps_nobody_who_asked() -> None:
    """What those have in hand who asked in vain does not stay in memory."""
    oracle = Oracle()
    oracle.may_answer.set()
    square = Together(oracle.ask)
    assert await forgets_its_caller(lambda: square(0))


async def test_whoever_has_left_takes_no_answer() -> None:
    """Of two who ask the same, the second gets it if the first is gone."""
    oracle = Oracle()
    square = Together(oracle.ask)
    gone, there = (asyncio.create_task(square(6)) for _ in range(2))
    await asyncio.wait_for(oracle.was_asked.wait(), 10)
    gone.cancel()
    oracle.may_answer.set()
    assert await there == 36
    with pytest.raises(asyncio.CancelledError):
        await gone
