"""Whether something that has failed lets go of what those had in hand who asked for it."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from weakref import ref

from tests.support.waiting import until

PATIENCE_SECONDS = 5.0
"""For the tasks of others, which end after the call, some of them after a trip to PostgreSQL."""


class Words:
    """What a caller has in hand, such as a whole conversation."""


async def forgets_its_caller(call: Callable[[], Awaitable[object]]) -> bool:
    """Whether a caller's words go after a `call` that fails, without Python looking for cycles.

    Raises:
        AssertionError: they are still there when the tasks of others have ended.
    """
    gc.disable()
    try:
        words = await _asking(call)

        async def gone() -> bool:
            return words() is None

        return await until(gone, PATIENCE_SECONDS)
    finally:
        gc.enable()


async def _asking(call: Callable[[], Awaitable[object]]) -> ref[Words]:
    words = Words()
    try:
        await call()
    except Exception:  # noqa: BLE001  # whatever it fails of
        return ref(words)
    raise AssertionError("it did not fail")
