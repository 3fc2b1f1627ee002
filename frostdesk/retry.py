"""Trying again what may pass: at most a few times, further and further apart."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import structlog

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
    made = 0
    while True:
        made += 1
        try:
            return await call()
        except Exception as error:
            vars(error)["attempts"] = made
            if made == attempts or not isinstance(error, TryAgainError):
                raise
            pause = _pause(error, made, wait_initial=wait_initial, wait_max=wait_max)
            # Its text is not logged: it may hold words of a customer's.
            kind = type(error).__name__
            _log.warning("trying again", error=kind, attempt=made, wait_seconds=round(pause, 3))
        await asyncio.sleep(pause)


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
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)  # an HTTP date is always in GMT
    return max(0.0, (moment - now).total_seconds())


def _pause(error: TryAgainError, made: int, *, wait_initial: float, wait_max: float) -> float:
    """The seconds until the next attempt: what the error asks for, or doubled, with jitter."""
    jitter = random.uniform(0, wait_initial)  # noqa: S311  # no secret
    return min(wait_max, error.after or wait_initial * 2 ** (made - 1) + jitter)
