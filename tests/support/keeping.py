"""Whether something that has failed keeps alive what those had in hand who asked for it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from weakref import ref


class Words:
    """What a caller has in hand, such as a whole conversation."""


async def keeps_its_caller(call: Callable[[], Awaitable[object]]) -> bool:
    """Whether a caller's words outlive a `call` that fails, until Python looks for cycles."""
    gc.disable()
    try:
        words = await _asking(call)
        await asyncio.sleep(0.01)  # for the tasks of others, which end after the call
        return words() is not None
    finally:
        gc.enable()


async def _asking(call: Callable[[], Awaitable[object]]) -> ref[Words]:
    words = Words()
    try:
        await call()
    except Exception:  # noqa: BLE001  # whatever it fails of
        return ref(words)
    raise AssertionError("it did not fail")
