"""Patience for what happens in another process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE_SECONDS = 0.02


async def until(probe: Callable[[], Awaitable[T]], seconds: float = 10.0) -> T:
    """The first answer of `probe` that is true.

    Raises:
        AssertionError: there was none within that many seconds; the text has the last answer.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not (answer := await probe()):
        if loop.time() > deadline:
            raise AssertionError(f"{probe} still answers {answer!r} after {seconds} s")
        await asyncio.sleep(PAUSE_SECONDS)
    return answer
