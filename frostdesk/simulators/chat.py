"""The shapes of chat completions, as far as the simulated model reads them.

Source: OpenAI's API reference, "Create chat completion".
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec


class Function(msgspec.Struct, frozen=True):
    """The function that a call names. `arguments` is JSON in a string."""

    name: str
    arguments: str = "{}"


class ToolCall(msgspec.Struct, frozen=True):
    """A tool call that the model made earlier in the conversation."""

    function: Function
    id: str = ""


class Message(msgspec.Struct, frozen=True):
    """One message. The content may be a text, a list of parts, or null beside tool calls."""

    role: str
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """The content as plain text."""
        if isinstance(self.content, list):
            return "\n".join(str(part.get("text", "")) for part in self.content)
        return self.content or ""


class ToolFunction(msgspec.Struct, frozen=True):
    """A function on offer. `parameters` is a JSON Schema."""

    name: str
    parameters: dict[str, Any] = {}

    @property
    def properties(self) -> dict[str, Any]:
        """The parameters' schemas by name."""
        found = self.parameters.get("properties")
        return found if isinstance(found, dict) else {}


class Tool(msgspec.Struct, frozen=True):
    """A tool on offer."""

    function: ToolFunction


class ChatRequest(msgspec.Struct, frozen=True):
    """The body of `POST /chat/completions`. Fields that are not used here are ignored."""

    model: Annotated[str, msgspec.Meta(min_length=1)]
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    stream: bool | None = None

    def tool(self, name: str) -> ToolFunction | None:
        """The tool of that name, if it is offered and may be called."""
        offered = [] if self.tool_choice == "none" else self.tools or []
        return next((t.function for t in offered if t.function.name == name), None)


class Call(msgspec.Struct, frozen=True):
    """A tool call that the model makes. `arguments` is JSON in a string, or what was asked for."""

    name: str
    arguments: str


class Turn(msgspec.Struct, frozen=True):
    """What the model answers: a text, tool calls, or both."""

    text: str | None = None
    calls: tuple[Call, ...] = ()
