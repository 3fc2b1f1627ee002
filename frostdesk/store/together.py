"""Many small questions in one trip: while one trip is under way, the next collects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")

AT_ONCE = 100


class Together(Generic[Question, Answer]):
    """Asks `ask` what many ask for at once.

    `ask` gets different questions, and gives the answers that there are.
    """

    def __init__(
        self, ask: Callable[[list[Question]], Awaitable[Mapping[Question, Answer]]]
    ) -> None:
        self._ask = ask
        self._waiting: list[tuple[Question, asyncio.Future[Answer | None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, question: Question) -> Answer | None:
        """The answer, or None if there is none; of several who ask the same, the first gets it.

        Raises whatever `ask` raises.
        """
        future: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="ask together")
        try:
            return await future
        finally:
            del future  # an error of its own names this frame, and would be kept by it

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            try:
                answers = dict(await self._ask(list(dict(batch))))
            except Exception as error:  # noqa: BLE001  # handed to everybody who asked
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                del batch, future  # the error names this frame, and would be kept by it
                continue
            for question, future in batch:
                if not future.done():
                    future.set_result(answers.pop(question, None))
