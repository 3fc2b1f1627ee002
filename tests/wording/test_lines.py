"""The lines that code writes to customers."""

import string
from datetime import date, time
from typing import get_args
from zoneinfo import ZoneInfo

import msgspec
import pytest

from frostdesk.dates import LANGUAGES
from frostdesk.lessons.checking import LessonRefusedError, Refusal, make_lesson
from frostdesk.wording.lines import (
    LessonState,
    Sentences,
    all_sentences,
    fallback_reply,
    lesson_line,
    notice,
    prompt_date,
    refusal_line,
    weekday_name,
)

FRIDAY = date(2027, 1, 15)
LESSON = make_lesson(FRIDAY, time(9, 5), duration=90, timezone=ZoneInfo("Europe/Zurich"))
WEEKDAY = {
    "en": "Friday",
    "de": "Freitag",
    "fr": "vendredi",
    "it": "venerdì",
    "es": "viernes",
    "nl": "vrijdag",
    "pt": "sexta-feira",
}
MONTH = {
    "en": "January",
    "de": "Januar",
    "fr": "janvier",
    "it": "gennaio",
    "es": "enero",
    "nl": "januari",
    "pt": "janeiro",
}
STATES = {
    "en": ("proposed, waiting for the instructor's confirmation", "confirmed", "cancelled"),
    "de": ("vorgeschlagen, wartet noch auf Bestätigung", "bestätigt", "abgesagt"),
    "fr": ("proposée, en attente de confirmation", "confirmée", "annulée"),
    "it": ("proposta, in attesa di conferma", "confermata", "annullata"),
    "es": ("propuesta, pendiente de confirmación", "confirmada", "cancelada"),
    "nl": ("voorgesteld, wacht nog op bevestiging", "bevestigd", "geannuleerd"),
    "pt": ("proposta, aguarda confirmação", "confirmada", "cancelada"),
}


def test_every_language_has_its_sentences() -> None:
    """The languages that can be detected are those that can be written."""
    assert set(all_sentences()) == set(LANGUAGES) == set(STATES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_the_placeholders_of_english(language: str) -> None:
    """No translation leaves out a fact of the English sentence, or has one more."""
    english = msgspec.structs.asdict(all_sentences()["en"])
    translated = msgspec.structs.asdict(all_sentences()[language])
    del english["date_format"], translated["date_format"]

    assert {k: placeholders(v) for k, v in translated.items()} == {
        k: placeholders(v) for k, v in english.items()
    }


def placeholders(sentence: str) -> set[str]:
    """The names in braces."""
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_a_missing_sentence_is_an_error() -> None:
    """A language that lacks a sentence cannot be loaded."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"lesson": "{weekday}"}, Sentences)


def test_an_english_line_reads_as_a_sentence() -> None:
    """The English line has weekday, date, time, length and state in this order."""
    assert lesson_line(LESSON, "proposed", "en") == (
        "📅 Friday 15 January 2027, 09:05, 90 minutes"
        " \u2013 proposed, waiting for the instructor's confirmation"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_lesson_line_states_every_fact(language: str) -> None:
    """Weekday, day, month, year, 24-hour time, minutes and the state's own words are all there."""
    facts = (WEEKDAY[language], "15", MONTH[language], "2027", "09:05", "90")
    for state, words in zip(get_args(LessonState), STATES[language], strict=True):
        line = lesson_line(LESSON, state, language)
        assert all(fact in line for fact in facts)
        assert line.endswith(f"\u2013 {words}")
        assert "\n" not in line


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", list(Refusal))
def test_a_refusal_line_says_that_and_why(reason: Refusal, language: str) -> None:
    """Each reason is one line that says that nothing was put down, why, and asks on."""
    error = LessonRefusedError(reason, date=FRIDAY, time=time(9, 5))
    line = refusal_line(error, language)

    assert line.startswith(all_sentences()[language].refused.partition("{")[0])
    assert line.endswith("?")
    assert "\n" not in line
    assert "{" not in line


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_refusal_line_names_the_nearest_fact(language: str) -> None:
    """The real weekday, the slot that is taken and the bounds of the length are named."""

    def line(reason: Refusal) -> str:
        return refusal_line(LessonRefusedError(reason, date=FRIDAY, time=time(9, 5)), language)

    assert WEEKDAY[language] in line(Refusal.WRONG_WEEKDAY)
    for reason in (Refusal.TAKEN, Refusal.PAST, Refusal.NO_SUCH_TIME):
        assert WEEKDAY[language] in line(reason)
        assert "09:05" in line(reason)
    assert "366" in line(Refusal.TOO_FAR)
    assert "15" in line(Refusal.TOO_SHORT)
    assert "480" in line(Refusal.TOO_LONG)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_refusal_line_needs_no_more_than_is_known(language: str) -> None:
    """Where nothing could be read, the line is there all the same."""
    for reason in (Refusal.BAD_DATE, Refusal.BAD_TIME, Refusal.BAD_DURATION):
        assert refusal_line(LessonRefusedError(reason, raw="soon"), language).endswith("?")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_notice_tells_the_decision(language: str) -> None:
    """The two notices have the words of their state."""
    _, confirmed, cancelled = STATES[language]
    assert confirmed in notice("confirmed", language)
    assert cancelled in notice("cancelled", language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_fallback_notes_or_asks(language: str) -> None:
    """Without a model's words the customer is told of the proposal, or asked for the details."""
    assert not fallback_reply(language, proposed=True).endswith("?")
    assert fallback_reply(language, proposed=False).endswith("?")


def test_an_unknown_language_is_written_in_english() -> None:
    """A language that is not shipped gets English, in every line."""
    assert lesson_line(LESSON, "confirmed", "xx") == lesson_line(LESSON, "confirmed", "en")
    assert notice("cancelled", "xx") == notice("cancelled", "en")
    assert weekday_name(FRIDAY, "xx") == "Friday"


def test_a_prompt_date_has_its_weekday() -> None:
    """Prompts write dates with the weekday before them."""
    assert prompt_date(FRIDAY) == "Friday 2027-01-15"
    assert weekday_name(FRIDAY, "de") == "Freitag"
