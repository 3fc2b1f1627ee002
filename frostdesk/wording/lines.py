"""The lines that code writes to the customer, so that no model can get a fact of them wrong."""

from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

import msgspec
from babel.dates import format_date

from frostdesk.events import Lesson
from frostdesk.lessons.checking import FURTHEST, LONGEST, SHORTEST, LessonRefusedError

LessonState = Literal["proposed", "confirmed", "cancelled"]


class Sentences(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one language must have, with placeholders; `sentences.toml` says which."""

    date_format: str
    lesson: str
    proposed: str
    confirmed: str
    cancelled: str
    refused: str
    another_refused: str
    nothing_there: str
    bad_date: str
    wrong_weekday: str
    bad_time: str
    no_such_time: str
    past: str
    too_far: str
    too_short: str
    too_long: str
    bad_duration: str
    taken: str
    notice_confirmed: str
    notice_cancelled: str
    noted: str
    ask: str
    stopped: str
    handed_over: str


@cache
def all_sentences() -> dict[str, Sentences]:
    """Every language's sentences by its code. Raises msgspec.ValidationError where one lacks."""
    path = Path(__file__).with_name("sentences.toml")
    return msgspec.toml.decode(path.read_bytes(), type=dict[str, Sentences])


def _in(language: str) -> Sentences:
    """The language's sentences, or the English ones for a language that is not shipped."""
    return all_sentences().get(language) or all_sentences()["en"]


def _known(language: str) -> str:
    return language if language in all_sentences() else "en"


def lesson_line(lesson: Lesson, state: LessonState, language: str) -> str:
    """One line that says which lesson this is (business's wall clock) and how it stands."""
    sentences = _in(language)
    return sentences.lesson.format(
        weekday=weekday_name(lesson.date, language),
        date=_day(lesson.date, language),
        time=f"{lesson.time:%H:%M}",
        minutes=lesson.duration,
        state=getattr(sentences, state),
    )


def refusal_line(error: LessonRefusedError, language: str, *, others: bool = False) -> str:
    """One line that says that no lesson has been put down, and why, and asks for what is needed.

    With `others` it says so of one lesson beside others that have been.
    """
    sentences = _in(language)
    reason = getattr(sentences, error.reason).format(
        weekday=weekday_name(error.date, language) if error.date else "",
        date=_day(error.date, language) if error.date else "",
        time=f"{error.time:%H:%M}" if error.time else "",
        shortest=SHORTEST,
        longest=LONGEST,
        furthest=FURTHEST,
    )
    return (sentences.another_refused if others else sentences.refused).format(reason=reason)


def nothing_there(language: str) -> str:
    """One line that says that the customer has no lesson, asked for or confirmed."""
    return _in(language).nothing_there


def notice(state: Literal["confirmed", "cancelled"], language: str) -> str:
    """What tells the customer of the instructor's decision when no model has found words."""
    sentences = _in(language)
    return sentences.notice_confirmed if state == "confirmed" else sentences.notice_cancelled


def fallback_reply(language: str, *, proposed: bool) -> str:
    """What stands for a model's missing words, where a lesson was proposed or is yet to be."""
    return _in(language).noted if proposed else _in(language).ask


def weekday_name(date: date, language: str = "en") -> str:
    """The date's weekday as the language writes it within a sentence, such as "vendredi"."""
    return format_date(date, "EEEE", locale=_known(language))


@lru_cache(maxsize=512)
def prompt_date(date: date) -> str:
    """The date as prompts give it, such as "Friday 2027-01-15"."""
    return f"{weekday_name(date)} {date.isoformat()}"


def _day(date: date, language: str) -> str:
    return format_date(date, _in(language).date_format, locale=_known(language))


def stop_confirmation(language: str) -> str:
    """Tells that no automatic message follows, and how to get answers again."""
    return _in(language).stopped


def handover_reply(language: str) -> str:
    """Tells that a person will answer, where the model gave no words of its own."""
    return _in(language).handed_over
