"""A model's answer, read: the body of a chat completion as data, whatever a server made of it.

Shapes as in OpenAI's API reference, "The chat completion object".
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from frostdesk.errors import TryAgainError


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a tool. `arguments` is None where the model wrote no JSON object."""

    id: str
    name: str
    arguments: dict[str, Any] | None


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """What the model said. `text` is None where it wrote nothing.

    `raw_message` is the message as it goes back into `messages` when the tools have answered.
    """

    text: str | None
    tool_calls: tuple[ToolCall, ...]
    input_tokens: int
    output_tokens: int
    raw_message: dict[str, Any]


class _Choice(msgspec.Struct):
    message: dict[str, Any]


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    usage: Any = None


def read_completion(body: bytes) -> Completion:
    """The completion in a body.

    NUL and lone surrogates become U+FFFD. A malformed tool call is kept, so that it can be
    answered with what is wrong; arguments that are no JSON object go back to the model as `{}`,
    as some servers decode the history too and would refuse all of it.

    Raises:
        TryAgainError: the body is no JSON or holds no choice.
    """
    try:
        answer = msgspec.convert(_decode(body), _Answer)
        message = answer.choices[0].message
    except (ValueError, IndexError, RecursionError):
        raise TryAgainError(
            "The model's answer is no JSON or holds no choice. If this stays, check that"
            " OPENAI_BASE_URL names a server that speaks chat completions."
        ) from None
    text = _text(message.get("content"))
    calls = _read_calls(message.get("tool_calls"))
    return Completion(
        text=text,
        tool_calls=tuple(call for call, _ in calls),
        input_tokens=_count(answer.usage, "prompt_tokens"),
        output_tokens=_count(answer.usage, "completion_tokens"),
        raw_message=_raw_message(text, [raw for _, raw in calls]),
    )


def _decode(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        # It may be a lone surrogate, which msgspec refuses and Python's own decoder lets through.
        lenient = json.dumps(json.loads(body), ensure_ascii=False)
        whole = lenient.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return msgspec.json.decode(whole)


def _text(content: Any) -> str | None:
    """The words, which some servers give in parts, as the reference has them in requests."""
    if isinstance(content, list):
        content = "".join(str(_dict(part).get("text") or "") for part in content)
    if not isinstance(content, str) or not content.strip():
        return None
    return content.replace("\0", "\ufffd")


def _read_calls(calls: Any) -> list[tuple[ToolCall, dict[str, Any]]]:
    if not isinstance(calls, list):
        return []
    return [_read_call(_dict(call), number) for number, call in enumerate(calls, start=1)]


def _read_call(raw: dict[str, Any], number: int) -> tuple[ToolCall, dict[str, Any]]:
    """The call, and the same for the history: what it lacked filled in, other fields untouched."""
    function = _dict(raw.get("function"))
    call = ToolCall(
        id=str(raw.get("id") or f"call_{number}"),
        name=str(function.get("name") or "unknown"),
        arguments=_arguments(function.get("arguments")),
    )
    arguments = msgspec.json.encode(call.arguments or {}).decode()
    whole = {**function, "name": call.name, "arguments": arguments}
    return call, {**raw, "id": call.id, "type": "function", "function": whole}


def _arguments(given: Any) -> dict[str, Any] | None:
    """JSON in a string, as the reference says; some servers send the object itself."""
    try:
        found = msgspec.json.decode(given) if isinstance(given, str) else given
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _raw_message(text: str | None, calls: list[dict[str, Any]]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    return {**message, "tool_calls": calls} if calls else message


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(usage: Any, name: str) -> int:
    """Tokens as the server counted them; 0 where it did not say."""
    count = _dict(usage).get(name)
    return count if isinstance(count, int) and count >= 0 else 0
