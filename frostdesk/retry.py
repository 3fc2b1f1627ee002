"""Trying again what may pass: at most a few times, further and further apart."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import stamina
import structlog
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from frostdesk.errors import TryAgainError

T = TypeVar("T")

_log = structlog.get_logger(__name__)


async def with_retries(
    call: Callable[[], Awaitable[T]],
    *,
    attempts: int = 3,
    wait_initial: float = 0.5,
    wait_max: float = 60.0,
) -> T:
    """What `call` returns, called again after each TryAgainError, at most `attempts` times in all.

    Waits (seconds) begin at `wait_initial` and double, with jitter; where the error says how long
    to wait, that long; never longer than `wait_max`. Each repetition is one warning in the log.

    Raises:
        Exception: whatever `call` raised last; `attempts_made` tells how often it was called.
    """
    try:  # nearly always all there is to it, and setting up repetitions costs more than the call
        return await call()
    except TryAgainError as error:
        first = error
    made = 0

    async def counted() -> T:
        nonlocal made
        made += 1
        if made == 1:
            raise first
        return await call()

    def on(error: Exception) -> bool | float:
        return isinstance(error, TryAgainError) and _wait(error, wait_max)

    caller = stamina.AsyncRetryingCaller(
        attempts=attempts,
        timeout=None,
        wait_initial=wait_initial,
        wait_max=wait_max,
        wait_jitter=wait_initial,
    )
    try:
        return await caller(on, counted)
    except Exception as error:
        vars(error)["attempts"] = made
        raise


def attempts_made(error: Exception) -> int:
    """How often the call was made that ended in `error`: once, if not by `with_retries`."""
    return int(vars(error).get("attempts", 1))


def retry_after(header: str | None, *, now: datetime | None = None) -> float | None:
    """The seconds that a `Retry-After` header asks for, from `now` on; None if it asks nothing.

    Both forms of RFC 9110, section 10.2.3: seconds, or a date. A date that has passed asks for 0.
    """
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        return _seconds_until(header, now or datetime.now(UTC))
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _seconds_until(http_date: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(http_date)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)  # an HTTP date is always in GMT
    return max(0.0, (moment - now).total_seconds())


def _wait(error: TryAgainError, wait_max: float) -> bool | float:
    """The seconds asked for; True, where none were, leaves the wait to the usual doubling."""
    return min(error.after, wait_max) if error.after else True


def _log_retry(details: RetryDetails) -> None:
    _log.warning(
        "trying again",
        error=type(details.caused_by).__name__,
        attempt=details.retry_num,
        wait_seconds=round(details.wait_for, 3),
    )


# In place of stamina's own hook, which would write the error's text and the call's arguments.
set_on_retry_hooks([_log_retry])
