"""How the simulated model thinks: the conversation in, one turn out. Pure.

It remembers what a customer said of a lesson over several messages, asks for what is missing, and
calls the offered tool when day, time and length are known.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from frostdesk.simulators.chat import Call, ChatRequest, Message, ToolFunction, Turn
from frostdesk.simulators.phrases import PHRASES, Phrases, fold, language_of
from frostdesk.simulators.wishes import Wish, understand

PROPOSE = "propose_booking"
ASK = "ask_instructor"

_STAMP = re.compile(r"\[[^\]\n]*?(\d{4}-\d\d-\d\d)[^\]\n]*\]\s*")
_NEXT_STAMP = re.compile(r"\n(?=\[[^\]\n]*\d{4}-\d\d-\d\d)")
_TODAY = (
    re.compile(r"today\b[^\n]*?(\d{4}-\d\d-\d\d)", re.IGNORECASE),
    re.compile(r"\b(\d{4}-\d\d-\d\d)\b"),
)
_NOTICE = re.compile(
    r"\binstructor has (?:just |now |already )?(?:confirm|cancel)l?ed"
    r"|\b(?:confirm|cancel)l?ed by the instructor",
    re.IGNORECASE,
)
_NOTICE_LANGUAGE = {"german": "de", "deutsch": "de", "french": "fr", "francais": "fr"}
_REFUSED = re.compile(
    r"refused|rejected|taken|unavailable|invalid|cannot|can't|in the past|overlap|failed"
    r"|not (?:free|available|possible|proposed|booked|valid|been put)|too (?:long|short|far|late)"
    r"|no lesson has|there is no"
    r"|\"(?:ok|success)\": ?false|\berror\b(?!\"?: ?(?:null|\"\"|false))",
    re.IGNORECASE,
)
_CHANGE = re.compile(
    r"\b(?:instead|then|rather|move|make it|change|lieber|dann|stattdessen|verschieben"
    r"|plutot|alors|changer|deplacer)\b"
)
_NEEDS_A_PERSON = re.compile(
    r"\b(?:humans?|real person|(?:speak|talk) (?:to|with)|call me|complain\w*|refunds?|hurt"
    r"|injur\w*|accident|hospital|unacceptable|cancel\w*"
    r"|mensch\w*|beschwer\w*|verletzt|unfall|spital|krankenhaus|stornier\w*|absagen|sprechen mit"
    r"|humain|une personne|plaindre|plainte|blesse\w*|hopital|rembours\w*|annul\w*|parler a)\b"
)
_MAX_ARGUMENT = 500  # characters of the customer's words that go into a tool's argument


class Line(msgspec.Struct, frozen=True):
    """What one side said, on which local day."""

    by_customer: bool
    text: str
    day: date
    called: bool = False


def answer(request: ChatRequest) -> Turn:
    """The model's turn in this conversation."""
    lines = _read(request.messages)
    words = PHRASES[_language(lines, request.messages[-1])]
    last = request.messages[-1]
    if last.role == "tool":
        return Turn(_after_tool(request.messages, words))
    if decision := _NOTICE.search(_notice(request.messages)):
        is_confirmed = "confirm" in decision[0].lower()
        return Turn(words.confirmed if is_confirmed else words.cancelled)
    if _NEEDS_A_PERSON.search(fold(_newest(lines))):
        return _pass_on(request.tool(ASK), _newest(lines), words)
    return _talk(request, lines, words)


def _read(messages: list[Message]) -> list[Line]:
    """Who said what and when. A message that joins several, each with its time, is taken apart."""
    today = _today(messages)
    lines: list[Line] = []
    for message in messages:
        if message.role not in ("user", "assistant") or _is_notice(message):
            continue
        for part in _NEXT_STAMP.split(message.text):
            stamp = _STAMP.match(part)
            lines.append(
                Line(
                    message.role == "user",
                    part[stamp.end() :] if stamp else part,
                    _date(stamp[1], today) if stamp else today,
                    bool(message.tool_calls),
                )
            )
    return lines


def _date(text: str, fallback: date) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return fallback


def _today(messages: list[Message]) -> date:
    """The day that the system prompt calls today."""
    now = datetime.now(UTC).date()
    prompt = "\n".join(m.text for m in messages if m.role in ("system", "developer"))
    found = next(filter(None, (pattern.search(prompt) for pattern in _TODAY)), None)
    return _date(found[1], now) if found else now


def _is_notice(message: Message) -> bool:
    """Whether a user's message is the service speaking: a customer's has a time in front."""
    return (
        message.role == "user"
        and bool(_NOTICE.search(message.text))
        and not _STAMP.match(message.text)
    )


def _notice(messages: list[Message]) -> str:
    """The service's closing message, if the last one that is not the model's comes from it."""
    spoken = [m for m in messages if m.role not in ("assistant", "tool")]
    if not spoken or (spoken[-1].role == "user" and not _is_notice(spoken[-1])):
        return ""
    return spoken[-1].text


def _language(lines: list[Line], last: Message) -> str:
    """That of the customer's newest words that show one, else what a notice asks for."""
    for line in reversed(lines):
        if line.by_customer and (language := language_of(line.text)):
            return language
    asked = re.findall(r"\w+", fold(last.text)) if last.role != "assistant" else []
    return next((_NOTICE_LANGUAGE[word] for word in asked if word in _NOTICE_LANGUAGE), "en")


def _newest(lines: list[Line]) -> str:
    """All that the customer wrote since the last answer."""
    return "\n".join(line.text for line in lines[_answered(lines) :])


def _answered(lines: list[Line]) -> int:
    """How many lines there are up to the last answer, and with it."""
    return max((n for n, line in enumerate(lines, 1) if not line.by_customer), default=0)


def _after_tool(messages: list[Message], words: Phrases) -> str:
    """What follows on the results that close the conversation."""
    results = []
    for message in reversed(messages):
        if message.role != "tool":
            break
        results.append(message)
    ids = {result.tool_call_id for result in results}
    names = {c.function.name for m in messages for c in m.tool_calls or () if c.id in ids}
    if any(_REFUSED.search(result.text) for result in results):
        return words.refused
    return words.passed_on if names == {ASK} else words.asked


def _pass_on(tool: ToolFunction | None, text: str, words: Phrases) -> Turn:
    """Ask the instructor with the tool, if there is one; else say who will answer."""
    if tool is None:
        return Turn(words.passed_on)
    arguments = {name: _argument(schema, text) for name, schema in tool.properties.items()}
    return Turn(calls=(Call(ASK, msgspec.json.encode(arguments).decode()),))


def _argument(schema: Any, text: str) -> Any:
    """A value for a parameter that is a text, or one of a few."""
    allowed = schema.get("enum") if isinstance(schema, dict) else None
    return allowed[0] if allowed else text[:_MAX_ARGUMENT]


def _remember(lines: list[Line]) -> Wish:
    """What is known of the lesson under discussion.

    Once a lesson was named in full by our side, a new day opens the next one, unless the customer
    says that it is a change.
    """
    wish, settled = Wish(), False
    for line in lines:
        said = understand(line.text, today=line.day)
        if not line.by_customer:
            settled = settled or line.called or said.complete
            continue
        if settled and said.day and not _CHANGE.search(fold(line.text)):
            wish = Wish()
        settled = settled and said == Wish()
        wish = wish.updated(said)
    return wish


def _talk(request: ChatRequest, lines: list[Line], words: Phrases) -> Turn:
    """Propose a lesson, or say what is missing for one."""
    wish = _remember(lines)
    fresh = lines[_answered(lines) :]
    is_news = any(understand(line.text, today=line.day) != Wish() for line in fresh)
    if wish.complete and is_news:
        return _propose(request, wish, words)
    hello = "" if _answered(lines) else f"{words.hello} "
    return Turn(words.welcome if wish.complete else hello + _ask(wish, words))


def _ask(wish: Wish, words: Phrases) -> str:
    needed = ((wish.day, words.day), (wish.time, words.time), (wish.minutes, words.length))
    missing = [phrase for known, phrase in needed if known is None]
    *first, last = missing
    listed = f"{', '.join(first)} {words.joiner} {last}" if first else last
    return words.ask.format(missing=listed)


def _propose(request: ChatRequest, wish: Wish, words: Phrases) -> Turn:
    """Call the tool if it is offered; a model without tools says it in plain words."""
    clock = f"{wish.time:%H:%M}"
    if request.tool(PROPOSE) is None:
        return Turn(words.booked.format(date=wish.day, time=clock, minutes=wish.minutes))
    arguments = {"date": str(wish.day), "time": clock, "duration": wish.minutes}
    return Turn(calls=(Call(PROPOSE, msgspec.json.encode(arguments).decode()),))
