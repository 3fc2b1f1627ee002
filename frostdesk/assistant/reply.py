"""From a situation to a text: the model writes and asks, code checks and adds what is true."""

from __future__ import annotations

from typing import Literal

import msgspec
import structlog

from frostdesk.assistant.model import Message, Model
from frostdesk.assistant.prompt import Situation, build_messages, describe_lesson, prompt_hash
from frostdesk.assistant.proposals import Proposals
from frostdesk.assistant.talk import Talk
from frostdesk.assistant.tools import TOOLS
from frostdesk.assistant.words import tidy
from frostdesk.errors import FrostDeskError
from frostdesk.events import Lesson
from frostdesk.lessons.checking import LessonRefusedError, propose_lesson
from frostdesk.lessons.intent import find_lesson
from frostdesk.wording.languages import detect_language
from frostdesk.wording.lines import fallback_reply, lesson_line, notice

ROUNDS = 3
"""Calls of the model for one reply, at most: it may call tools, correct itself, and write."""

_log = structlog.get_logger(__name__)


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A text for the customer, the lessons that it proposes, and what it took to make.

    `handover` is why the customer needs a person, or absent.

    `model` is absent where code wrote all of the text. `prompt_hash` is that of the first call's
    messages, `seconds` the wall-clock time with all waits, `attempts` the number of requests: all
    of it nothing where the model was not asked.
    """

    text: str
    lessons: tuple[Lesson, ...]
    handover: str | None = None
    language: str
    model: str | None = None
    prompt_hash: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    attempts: int = 0


async def draft_reply(model: Model, situation: Situation, *, wait_initial: float = 0.5) -> Draft:
    """The reply to the history of `situation`.

    Up to three rounds of one call each; every call is tried up to three times, the first wait
    being about `wait_initial` seconds. What the model proposes, by tool or in plain words, is
    checked; a line written by code follows for each lesson, or one that says why there is none.

    Raises:
        TryAgainError: the last attempt failed too.
        GiveUpError: the model's server refuses, as it will again.
    """
    messages = build_messages(situation)
    talk = Talk(model, messages, tools=TOOLS, wait_initial=wait_initial)
    proposals = Proposals(situation)
    words = await _converse(talk, proposals)
    language = conversation_language(situation)
    return Draft(
        text=_text(
            _disclosure(situation, language),
            words or _in_place_of_words(proposals, language),
            "\n".join(proposals.lines(language)),
        ),
        lessons=tuple(proposals.accepted),
        handover=proposals.handover,
        language=language,
        model=model.name,
        prompt_hash=prompt_hash(messages),
        **msgspec.structs.asdict(talk.cost()),
    )


async def draft_notice(
    model: Model,
    situation: Situation,
    *,
    lesson: Lesson,
    state: Literal["confirmed", "cancelled"],
    wait_initial: float = 0.5,
) -> Draft:
    """The message that tells the customer what the instructor has just decided about `lesson`.

    The model writes a sentence or two above the line written by code. If it cannot, however it
    fails, a plain sentence stands in: nothing is raised because of the model.
    """
    messages = [*build_messages(situation), _announcement(lesson, state)]
    talk = Talk(model, messages, tools=None, wait_initial=wait_initial)
    words = await _words_if_any(talk)
    if _speaks_of_another(words, lesson, situation):
        _log.warning("notice_written_by_code", reason="the model spoke of another lesson")
        words = ""
    return msgspec.structs.replace(
        plain_notice(situation, lesson=lesson, state=state, words=words),
        model=model.name if words else None,
        prompt_hash=prompt_hash(messages),
        **msgspec.structs.asdict(talk.cost()),
    )


def plain_notice(
    situation: Situation,
    *,
    lesson: Lesson,
    state: Literal["confirmed", "cancelled"],
    words: str = "",
) -> Draft:
    """The same without the model, of which `words` may come: else a plain sentence stands there."""
    language = conversation_language(situation)
    return Draft(
        text=_text(
            _disclosure(situation, language),
            words or notice(state, language),
            lesson_line(lesson, state, language),
        ),
        lessons=(),
        language=language,
    )


def conversation_language(situation: Situation) -> str:
    """The language (ISO 639-1) of the customer's words, the newest counting most."""
    texts = [entry.text for entry in situation.history if entry.author == "customer"]
    return detect_language(texts[::-1])


async def _converse(talk: Talk, proposals: Proposals) -> str:
    """The model's last words, once its calls are carried out or the rounds are over."""
    for _ in range(ROUNDS):
        completion = await talk.ask()
        if not completion.tool_calls:
            break
        proposals.begin_round()
        talk.tell(completion, map(proposals.answer, completion.tool_calls))
    words = tidy(completion.text)
    proposals.read(words)
    return words


def _in_place_of_words(proposals: Proposals, language: str) -> str:
    """Nothing where a line says it all: why there is no lesson, or how one stands already."""
    if proposals.lines(language) and not proposals.accepted:
        return ""
    return fallback_reply(language, proposed=bool(proposals.accepted))


async def _words_if_any(talk: Talk) -> str:
    try:
        return tidy((await talk.ask()).text)
    except FrostDeskError as error:
        _log.warning("notice_written_without_model", reason=str(error))
        return ""


def _speaks_of_another(words: str, lesson: Lesson, situation: Situation) -> bool:
    """Whether the words put the customer down for a lesson that is not the one decided about."""
    request = find_lesson(words, today=situation.now.astimezone(situation.timezone).date())
    if request is None:
        return False
    try:
        found = propose_lesson(request, timezone=situation.timezone, now=situation.now, taken=())
    except LessonRefusedError:
        return True
    return (found.starts_at, found.duration) != (lesson.starts_at, lesson.duration)


def _announcement(lesson: Lesson, state: str) -> Message:
    """It comes from the system: nothing that a customer writes can look like it."""
    return {
        "role": "system",
        "content": (
            f"The instructor has just {state} this lesson: {describe_lesson(lesson)}."
            " Tell the customer so in one or two sentences in the language of the conversation."
            " The line with the lesson's facts is added by code."
        ),
    }


def _disclosure(situation: Situation, language: str) -> str:
    return situation.instructions.disclosure_in(language) if situation.disclose else ""


def _text(*parts: str) -> str:
    return "\n\n".join(filter(None, parts))
