"""A lesson put down in plain words, for a model that calls no tool."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache

import msgspec

from frostdesk.dates import weekdays_meant
from frostdesk.folding import fold
from frostdesk.lessons import phrases
from frostdesk.lessons.checking import LessonRequest
from frostdesk.lessons.mentions import Mentions, read_sentence

LONGEST_READ = 2_000
"""What follows these many characters is not read, so a huge reply costs no more than a long one."""


def find_lesson(text: str, *, today: date) -> LessonRequest | None:
    """The one lesson that a reply puts down, unchecked; None if it names none, or several.

    Date, time and length must all be there. A day and month without a year is the next such day,
    today included; a bare weekday is the next one after `today` (in the business's zone). A weekday
    beside a date is kept in `date`, so that a wrong one can be refused. Refusals, cancellations,
    questions, opening hours, price lists and offers to choose from are no lesson.
    """
    plain = _plain(text)
    if phrases.DIGIT_OR_NOON.search(plain) is None:
        return None  # as most replies: it names no time
    found = Mentions()
    for sentence in _sentences(plain):
        named = read_sentence(sentence, today=today)
        if _refuses_the_rest(sentence, named):
            return None
        if not _is_beside_the_point(sentence, named):
            found.add(named)
    return _settle(found, today)


class Claims(msgspec.Struct, frozen=True):
    """What a reply says of states, and whether it names a lesson as it does."""

    of_a_lesson: bool


def claims_of_a_state(text: str) -> Claims | None:
    """What a reply claims to be booked, confirmed or cancelled, or not; None if nothing."""
    plain = _plain(text)
    if phrases.STATE.search(plain) is None:
        return None  # as most replies
    said = phrases.NOT_YET.sub(" ", phrases.CONDITION.sub(" ", plain))
    claims = [
        sentence
        for sentence in _sentences(said)
        if phrases.STATE.search(sentence) and not sentence.endswith("?")
    ]
    if not claims:
        return None
    return Claims(of_a_lesson=any(map(phrases.LESSON.search, claims)))


@lru_cache(maxsize=1)
def _plain(text: str) -> str:
    """What patterns read; of one reply it is asked for twice."""
    plain = text[:LONGEST_READ].replace("½", ".5")
    for mark in "*_`()[]":  # WhatsApp's and Markdown's emphasis, and brackets
        plain = plain.replace(mark, " ")
    folded = phrases.A_DOT_M.sub(r"\1m", fold(plain)[: 2 * LONGEST_READ])
    return phrases.HOUR_WORD.sub(_in_digits, phrases.PART_FIRST.sub(_hour_first, folded))


def _hour_first(match: re.Match[str]) -> str:
    """Half past ten, or "halb elf", as Spanish has it, the hour first: "10 y media"."""
    hour = phrases.HOUR_WORDS.get(match["hour"], match["hour"])
    return f"{hour} {phrases.PARTS_FIRST[match['part']]}"


def _in_digits(match: re.Match[str]) -> str:
    return match["before"] + phrases.HOUR_WORDS[match["hour"]]


def _sentences(plain: str) -> Iterator[str]:
    for sentence in phrases.SENTENCE_END.split(plain):
        yield " ".join(sentence.split())


def _refuses_the_rest(sentence: str, named: Mentions) -> bool:
    """Whether it is like "Unfortunately that is taken", of what other sentences name."""
    if named.some or phrases.UNCONFIRMED.search(sentence):
        return False
    return phrases.REFUSAL.search(sentence) is not None


def _is_beside_the_point(sentence: str, named: Mentions) -> bool:
    said = phrases.UNCONFIRMED.sub(" ", phrases.CONDITION.sub(" ", sentence))
    return bool(
        phrases.REFUSAL.search(sentence)
        or phrases.QUESTION.fullmatch(sentence)
        or phrases.NEGATION.search(said)
        or phrases.CANCELLATION.search(said)
        or phrases.OPENING_HOURS.search(sentence)
        or (phrases.PRICE.search(sentence) and not named.complete)
    )


def _settle(found: Mentions, today: date) -> LessonRequest | None:
    meant = [weekdays_meant(word) for word in found.weekdays]
    weekdays = frozenset.intersection(*meant) if meant else frozenset()
    if found.vague or (meant and not weekdays) or not found.complete:
        return None
    if len(found.dates) > 1 or len(found.times) > 1 or len(found.lengths) > 1:
        return None
    day = _settle_date(found, weekdays=weekdays, today=today)
    return LessonRequest(date=day, time=min(found.times), duration=min(found.lengths))


def _settle_date(found: Mentions, *, weekdays: frozenset[int], today: date) -> str:
    if found.dates:
        return " ".join((*sorted(found.weekdays)[:1], *found.dates)).capitalize()
    ahead = (min(weekdays) - today.weekday() - 1) % 7 + 1
    return (today + timedelta(days=ahead)).isoformat()
