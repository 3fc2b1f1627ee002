"""A chat-completions server on loopback that answers from a script, and what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web

from frostdesk.assistant.completion import Completion
from frostdesk.assistant.instructions import load_instructions
from frostdesk.assistant.model import Model
from frostdesk.assistant.prompt import HistoryEntry, Situation
from frostdesk.assistant.reply import Draft, draft_reply
from frostdesk.errors import FrostDeskError
from frostdesk.events import Lesson
from frostdesk.lessons.checking import make_lesson
from frostdesk.wording.lines import lesson_line

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

ZURICH = ZoneInfo("Europe/Zurich")
NOW = datetime(2027, 1, 14, 12, 0, tzinfo=UTC)  # a Thursday, 13:00 in Zurich
INSTRUCTIONS = load_instructions(None, None)


HELLO = [{"role": "user", "content": "A secret about my knee"}]


async def complete(model: Model, tools: list[dict[str, Any]] | None = None) -> Completion:
    """The answer to one message."""
    return await model.complete(HELLO, tools=tools)


async def failure(model: Model, tools: list[dict[str, Any]] | None = None) -> FrostDeskError:
    """The error that one message ends in."""
    with pytest.raises(FrostDeskError) as caught:
        await model.complete(HELLO, tools=tools)
    return caught.value


class ScriptedServer:
    """Answers the next request with the next answer; the last one is repeated."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    def script(self, *answers: Answer) -> None:
        """Answer the coming requests with these, in order."""
        self.answers = list(answers)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Keep the request and answer it as the script says."""
        self.bodies.append(await request.json())
        self.headers.append(dict(request.headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)

    def tool_results(self) -> list[str]:
        """The tools' results in the last request."""
        return [m["content"] for m in self.bodies[-1]["messages"] if m["role"] == "tool"]


def body(
    body: Any,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    content_type: str = "application/json",
) -> Answer:
    """A body as it is, or anything else as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def answer(_: web.Request) -> web.StreamResponse:
        said = {"Content-Type": content_type, **(headers or {})}
        return web.Response(body=raw, status=status, headers=said)

    return answer


def message(message: Any, **usage: int) -> Answer:
    """A completion whose only choice is this message."""
    return body(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": usage,
        }
    )


def says(text: str | None) -> Answer:
    """A completion of words alone, for 100 tokens in and 20 out."""
    return message({"role": "assistant", "content": text}, prompt_tokens=100, completion_tokens=20)


def calls(*arguments: Any, name: str = "propose_booking", text: str | None = None) -> Answer:
    """A completion that calls a tool, once for each arguments (a dict, or a string as it is)."""
    tool_calls = [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {
                "name": name,
                "arguments": given if isinstance(given, str) else json.dumps(given),
            },
        }
        for number, given in enumerate(arguments, start=1)
    ]
    return message(
        {"role": "assistant", "content": text, "tool_calls": tool_calls},
        prompt_tokens=100,
        completion_tokens=20,
    )


def fails(status: int, words: str = "no", **error: Any) -> Answer:
    """An error in the API's shape."""
    return body({"error": {"message": words, **error}}, status=status)


def packed(answer: Answer) -> Answer:
    """The same answer, with its body packed by gzip."""

    async def pack(request: web.Request) -> web.StreamResponse:
        response = await answer(request)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    return pack


async def cuts(request: web.Request) -> web.StreamResponse:
    """A connection that is lost in the middle of the body."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"choices": [')
    assert request.transport is not None
    request.transport.close()
    return response


async def hangs_up(request: web.Request) -> web.StreamResponse:
    """A connection that is lost before any answer."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def stalls(_: web.Request) -> web.StreamResponse:
    """No answer for longer than any test waits."""
    await asyncio.sleep(30)
    return web.Response()


def asks(day: str, start: str, minutes: Any) -> dict[str, Any]:
    """The arguments of a proposal."""
    return {"date": day, "time": start, "duration": minutes}


def lesson(day: date, start: time, minutes: int = 90) -> Lesson:
    """A lesson in Zurich."""
    return make_lesson(day, start, duration=minutes, timezone=ZURICH)


def wrote(text: str, *, at: datetime = NOW, author: str = "customer") -> HistoryEntry:
    """A message of the history."""
    role = "user" if author == "customer" else "assistant"
    return HistoryEntry(role=role, author=author, text=text, at=at)  # type: ignore[arg-type]  # a test's word for it


def situation(*history: HistoryEntry | str, **differing: Any) -> Situation:
    """A situation on that Thursday: texts are a customer's, a minute apart, the last one now."""
    entries = tuple(_timed(history or ("Hello, is there a lesson on Saturday?",)))
    usual: dict[str, Any] = {
        "history": entries,
        "taken": (),
        "bookings": (),
        "timezone": ZURICH,
        "instructions": INSTRUCTIONS,
        "disclose": False,
        "now": NOW,
    }
    return Situation(**{**usual, **differing})


def _timed(history: Iterable[HistoryEntry | str]) -> Iterable[HistoryEntry]:
    entries = list(history)
    for age, entry in enumerate(reversed(entries)):
        if isinstance(entry, str):
            entries[-1 - age] = wrote(entry, at=NOW - timedelta(minutes=age))
    return [entry for entry in entries if isinstance(entry, HistoryEntry)]


FRIDAY = date(2027, 1, 15)
LESSON = lesson(FRIDAY, time(14, 30))
ASKED = asks("Friday 2027-01-15", "14:30", 90)
PROPOSED = lesson_line(LESSON, "proposed", "en")
IN_WORDS = "I have put you down for 2027-01-15 at 14:30 for 90 minutes."


async def reply(model: Model, *history: str, **differing: Any) -> Draft:
    """The reply, with waits too short to notice."""
    return await draft_reply(model, situation(*history, **differing), wait_initial=0.001)
