"""Trying again: what, how often, how long apart, and what is logged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from frostdesk.errors import GiveUpError, OutcomeUnknownError, TryAgainError
from frostdesk.retry import attempts_made, retry_after, with_retries
from tests.support.keeping import forgets_its_caller

NOW = datetime(2027, 1, 15, 9, 0, tzinfo=UTC)
SHORT = 0.001


def failing(*errors: Exception) -> Callable[[], Awaitable[str]]:
    """A call that raises these in turn and then returns "done"."""
    left = list(errors)

    async def call() -> str:
        await asyncio.sleep(0)
        if left:
            raise left.pop(0)
        return "done"

    return call


async def test_what_works_is_called_once() -> None:
    """A call that returns is not repeated, and nothing is logged."""
    with capture_logs() as logs:
        assert await with_retries(failing()) == "done"

    assert logs == []


async def test_what_may_pass_is_tried_again() -> None:
    """A call that fails twice for the time being is made three times, and returns."""
    call = failing(TryAgainError("busy"), TryAgainError("still busy"))

    assert await with_retries(call, wait_initial=SHORT) == "done"


async def test_the_last_error_is_raised() -> None:
    """After the last attempt its own error comes out and says how many there were."""
    errors = [TryAgainError(str(number)) for number in range(5)]

    with pytest.raises(TryAgainError) as caught:
        await with_retries(failing(*errors), attempts=4, wait_initial=SHORT)

    assert caught.value is errors[3]
    assert attempts_made(caught.value) == 4


@pytest.mark.parametrize("error", [GiveUpError("no"), OutcomeUnknownError("?"), KeyError("bug")])
async def test_nothing_else_is_tried_again(error: Exception) -> None:
    """Any other error comes out at once, the first time or a later one."""
    with pytest.raises(type(error)) as caught:
        await with_retries(failing(error))
    assert attempts_made(caught.value) == 1

    with pytest.raises(type(error)) as caught:
        await with_retries(failing(TryAgainError("busy"), error), wait_initial=SHORT)
    assert attempts_made(caught.value) == 2


async def test_one_attempt_is_no_retry() -> None:
    """With one attempt nothing is repeated."""
    with pytest.raises(TryAgainError) as caught:
        await with_retries(failing(TryAgainError("busy")), attempts=1)

    assert attempts_made(caught.value) == 1


def test_an_error_from_elsewhere_was_one_attempt() -> None:
    """An error that never went through retries counts as one attempt."""
    assert attempts_made(TryAgainError("busy")) == 1


async def waits(*errors: Exception, wait_initial: float = SHORT, wait_max: float) -> list[float]:
    """The waits that are logged for these failures, in seconds."""
    call = failing(*errors)
    with capture_logs() as logs:
        await with_retries(
            call, attempts=len(errors) + 1, wait_initial=wait_initial, wait_max=wait_max
        )
    return [log["wait_seconds"] for log in logs]


async def test_waits_double_with_jitter() -> None:
    """Waits double from the first one, plus at most one first wait by chance."""
    found = await waits(*[TryAgainError("busy")] * 4, wait_initial=0.01, wait_max=1)

    for doubled, wait in zip((0.01, 0.02, 0.04, 0.08), found, strict=True):
        assert doubled <= wait <= doubled + 0.011


async def test_waits_are_bounded() -> None:
    """Neither doubling nor the other side makes a wait longer than the longest."""
    errors = [TryAgainError("busy"), TryAgainError("busy", after=3600), TryAgainError("busy")]

    assert await waits(*errors, wait_initial=5, wait_max=0.005) == [0.005] * 3


async def test_the_other_side_says_how_long() -> None:
    """A wait that the error asks for is kept."""
    begun = time.monotonic()

    assert await waits(TryAgainError("busy", after=0.05), wait_max=1) == [0.05]
    assert time.monotonic() - begun >= 0.05


async def test_a_wait_of_nothing_is_left_to_us() -> None:
    """A demand for no wait at all leaves the usual one, so nothing is hammered."""
    (wait,) = await waits(TryAgainError("busy", after=0), wait_initial=0.01, wait_max=1)

    assert wait >= 0.01


async def test_a_retry_is_one_warning_without_words() -> None:
    """Each retry is a warning with the error's kind, never with its text."""
    with capture_logs() as logs:
        await with_retries(failing(TryAgainError("41790000001 is busy")), wait_initial=SHORT)

    (log,) = logs
    assert (log["log_level"], log["error"], log["attempt"]) == ("warning", "TryAgainError", 1)
    assert "41790000001" not in str(log)


async def test_a_cancelled_call_ends_at_once() -> None:
    """Cancelling the caller ends the attempts, in a call as in a wait."""
    task = asyncio.create_task(with_retries(failing(TryAgainError("busy", after=30))))
    await asyncio.sleep(0.01)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("last", [TryAgainError, GiveUpError])
async def test_what_was_tried_in_vain_keeps_nobody(last: type[Exception]) -> None:
    """An error that comes out after retries does not keep its caller's words in memory."""

    def in_vain() -> Awaitable[str]:
        call = failing(TryAgainError("busy"), TryAgainError("busy"), last("no"))
        return with_retries(call, wait_initial=SHORT)

    assert await forgets_its_caller(in_vain)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("nan", None),
        ("inf", None),
        ("0", 0),
        ("12", 12),
        ("1.5", 1.5),
        ("Fri, 15 Jan 2027 09:01:00 GMT", 60),
        ("Fri, 15 Jan 2027 09:01:00 -0000", 60),
        ("Fri, 15 Jan 2027 08:59:00 GMT", 0),
        ("Fri, 99 Jan 2027 08:59:00 GMT", None),
        ("Fri, 15 Jan 2027 09:01:00 +99999999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    """Both forms of the header are seconds from now, and nonsense asks for nothing."""
    assert retry_after(header, now=NOW) == seconds
