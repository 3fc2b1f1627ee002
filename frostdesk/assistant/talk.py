"""The calls of the model for one text, counted."""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter

import msgspec

from frostdesk.assistant.completion import Completion
from frostdesk.assistant.model import Message, Model, ToolsRefusedError
from frostdesk.errors import FrostDeskError
from frostdesk.retry import with_retries


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What the calls took: tokens, HTTP requests, seconds on the wall with the waits in between."""

    input_tokens: int
    output_tokens: int
    attempts: int
    seconds: float


class Talk:
    """A chat with the model that grows by its answers and the results of its tool calls."""

    def __init__(
        self,
        model: Model,
        messages: list[Message],
        *,
        tools: list[Message] | None,
        wait_initial: float,
    ) -> None:
        """`wait_initial` is the wait before the second attempt of a call, in seconds."""
        self._model = model
        self._messages = list(messages)
        self._tools = tools
        self._wait_initial = wait_initial
        self._began = perf_counter()
        self._attempts = self._input_tokens = self._output_tokens = 0

    async def ask(self) -> Completion:
        """The model's next answer, after up to three attempts; without tools where it takes none.

        Raises what the last attempt raised: TryAgainError or GiveUpError; `attempts_made` tells of
        all attempts since the talk began.
        """
        try:
            return await self._ask()
        except FrostDeskError as error:
            vars(error)["attempts"] = self._attempts
            raise

    async def _ask(self) -> Completion:
        try:
            completion = await with_retries(self._attempt, wait_initial=self._wait_initial)
        except ToolsRefusedError:
            self._tools = None
            completion = await with_retries(self._attempt, wait_initial=self._wait_initial)
        self._input_tokens += completion.input_tokens
        self._output_tokens += completion.output_tokens
        return completion

    def tell(self, completion: Completion, results: Iterable[str]) -> None:
        """Add the model's tool calls and the result of each, in their order."""
        self._messages.append(completion.raw_message)
        for call, result in zip(completion.tool_calls, results, strict=True):
            self._messages.append({"role": "tool", "tool_call_id": call.id, "content": result})

    def cost(self) -> Cost:
        """What it has taken until now."""
        return Cost(
            input_tokens=self._input_tokens,
            output_tokens=self._output_tokens,
            attempts=self._attempts,
            seconds=perf_counter() - self._began,
        )

    async def _attempt(self) -> Completion:
        self._attempts += 1
        return await self._model.complete(self._messages, tools=self._tools)
