"""Lessons found in plain words, and words that put none down."""

import time
import timeit
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from babel.dates import format_date
from hypothesis import given
from hypothesis import strategies as st

from frostdesk.lessons.checking import LessonRequest
from frostdesk.lessons.intent import claims_of_a_state, find_lesson

MONDAY = date(2027, 1, 11)


def found(text: str, *, today: date = MONDAY) -> tuple[str, str, int] | None:
    """Date, time and minutes of the lesson found."""
    request = find_lesson(text, today=today)
    return (request.date, request.time, request.duration) if request else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("put you down for 2027-01-20 at 14:30 for 90 minutes", ("2027-01-20", "14:30", 90)),
        ("**2027-01-20** at **14:30** (90 minutes)", ("2027-01-20", "14:30", 90)),
        ("2027-01-20T14:30 for 1.5 hours", ("2027-01-20", "14:30", 90)),
        ("January 16th at 10am for an hour and a half", ("2027-01-16", "10:00", 90)),
        ("the 16th of January at 9:30 for one and a half hours", ("2027-01-16", "09:30", 90)),
        ("16/01/2027 at 9:05, 60 min", ("2027-01-16", "09:05", 60)),
        ("16 January at 2:30 p.m. for 2 hours. CHF 180.00.", ("2027-01-16", "14:30", 120)),
        ("16 January at 10:00 for 1½ hours", ("2027-01-16", "10:00", 90)),
        ("16 January\n10:00\n2 hours", ("2027-01-16", "10:00", 120)),
        ("16 January at 2 for 2 hours", ("2027-01-16", "14:00", 120)),
        ("16 January at 2 in the morning for 2 hours", ("2027-01-16", "02:00", 120)),
        ("16 January at noon for half an hour", ("2027-01-16", "12:00", 30)),
        (
            "\uff12\uff10\uff12\uff17-01-16 at \uff11\uff10:00 for 2 hours",
            ("2027-01-16", "10:00", 120),
        ),
        ("am 16.01.2027 um 9.30 Uhr, anderthalb Stunden", ("2027-01-16", "09:30", 90)),
        ("am 16.1. um 10 Uhr für eine Stunde", ("2027-01-16", "10:00", 60)),
        ("le 16 janvier à 10h pendant 1 heure", ("2027-01-16", "10:00", 60)),
        ("le 16 janvier à 10h30 pour 1h30", ("2027-01-16", "10:30", 90)),
        ("16 gennaio alle ore 14:30 per due ore", ("2027-01-16", "14:30", 120)),
        ("el 16 de enero a las 10 durante dos horas", ("2027-01-16", "10:00", 120)),
        ("16 januari om 10 uur, anderhalf uur", ("2027-01-16", "10:00", 90)),
        ("16 de janeiro às 10h, por duas horas", ("2027-01-16", "10:00", 120)),
        ("16 January at 10 for 900 minutes", ("2027-01-16", "10:00", 900)),
    ],
)
def test_reads_date_time_and_length(text: str, expected: tuple[str, str, int]) -> None:
    """A lesson in plain words is found, however its parts are written."""
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Saturday 2027-01-16 at 10:00 for 60 minutes", "Saturday 2027-01-16"),
        ("Fri, 2027-01-16 at 10:00 for 60 minutes", "Fri 2027-01-16"),
        ("am Samstag, 16. Januar um 10 Uhr für zwei Stunden", "Samstag 2027-01-16"),
        ("Sa., 16.01., 10 Uhr, 2 Std.", "Sa 2027-01-16"),
        ("samedi 16 à 10h, 2h", "Samedi 2027-01-16"),
        ("sabato 17 alle 10 per due ore", "Sabato 2027-01-17"),
    ],
)
def test_keeps_a_weekday_beside_the_date(text: str, day: str) -> None:
    """A weekday that is named stays with the date, right or wrong, for the check to come."""
    lesson = found(text)
    assert lesson is not None
    assert lesson[0] == day


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("tomorrow at 10 for 2 hours", "2027-01-12"),
        ("today at 14:00 for 2 hours", "2027-01-11"),
        ("morgen um 10 Uhr für 2 Stunden", "2027-01-12"),
        ("übermorgen um 10 Uhr für 2 Stunden", "2027-01-13"),
        ("Guten Morgen! Samstag 10 Uhr für 60 Minuten ist notiert.", "2027-01-16"),
        ("Samstag Morgen um 9 Uhr, eine halbe Stunde", "2027-01-16"),
        ("demain à 14 heures pendant deux heures", "2027-01-12"),
        ("domani alle 10 per un'ora e mezza", "2027-01-12"),
        ("mañana a las 10 de la mañana durante una hora y media", "2027-01-12"),
        ("on Monday at 10 for one hour", "2027-01-18"),
        ("le samedi à 10h pour 2 heures", "2027-01-16"),
        ("11 January at 10 for one hour", "2027-01-11"),
        ("10 January at 10 for one hour", "2028-01-10"),
        ("29 February at 10:00 for 60 minutes", "2028-02-29"),
        ("31 February at 10:00 for 60 minutes", "2027-02-31"),
    ],
)
def test_resolves_days_from_today(text: str, day: str) -> None:
    """Relative days, bare weekdays and days without a year are the next such day."""
    lesson = found(text)
    assert lesson is not None
    assert lesson[0] == day


@pytest.mark.parametrize(
    ("text", "start", "minutes"),
    [
        ("sabato alle 10 e mezza per due ore", "10:30", 120),
        ("sabato alle 10 per due ore e mezza", "10:00", 150),
        ("el sábado a las 10 y media durante dos horas", "10:30", 120),
        ("el sábado a las 2 y media durante dos horas", "14:30", 120),
        ("el sábado a las 11 menos cuarto durante dos horas", "10:45", 120),
        ("sábado às 10 e meia por duas horas", "10:30", 120),
        ("samedi à 10 heures et demie pour 2 heures", "10:30", 120),
        ("samedi à 10 heures pour 2 heures et demie", "10:00", 150),
        ("samedi à 14h et demie pour 2 heures", "14:30", 120),
        ("samedi à 10 heures et quart pour 2 heures", "10:15", 120),
        ("samedi à 11 heures moins le quart pour 2 heures", "10:45", 120),
        ("Samstag um 10 Uhr dreissig für 2 Stunden", "10:30", 120),
        ("Samstag um 10 Uhr, dreissig Minuten lang", "10:00", 30),
        ("am Samstag um halb elf für zwei Stunden", "10:30", 120),
        ("am Samstag um Viertel nach 10 für 90 Minuten", "10:15", 90),
        ("am Samstag um viertel vor elf für 90 Minuten", "10:45", 90),
        ("zaterdag om half elf voor twee uur", "10:30", 120),
        ("zaterdag van half elf tot 12 uur", "10:30", 90),
        ("zaterdag om kwart over tien voor twee uur", "10:15", 120),
        ("Saturday at half past ten for 2 hours", "10:30", 120),
        ("Saturday at half past two for 2 hours", "14:30", 120),
        ("Saturday at a quarter to 10 for 90 minutes", "09:45", 90),
        ("Saturday at 10 thirty for 2 hours", "10:30", 120),
        ("Saturday at 10, thirty minutes", "10:00", 30),
        ("sabato alle 10 e trenta per due ore", "10:30", 120),
        ("el sábado a las 10 y treinta durante dos horas", "10:30", 120),
        ("sabato alle 10, un quarto d'ora di pausa, per 2 ore", "10:00", 120),
        ("Saturday for two hours at half past 10.", "10:30", 120),
        ("Samstag um halb sieben für eine Stunde", "18:30", 60),
        ("zaterdag om half 11 uur voor 2 uur", "10:30", 120),
        ("Samstag von 10 bis halb 12.", "10:00", 90),
        ("am Samstag von zehn bis halb zwölf", "10:00", 90),
        ("Saturday at ten o'clock for two hours", "10:00", 120),
        ("zaterdag om tien uur voor twee uur", "10:00", 120),
    ],
)
def test_parts_of_an_hour_are_read(text: str, start: str, minutes: int) -> None:
    """A half or a quarter, before or after the hour, belongs to the time and not to the length."""
    assert found(text) == ("2027-01-16", start, minutes)


@pytest.mark.parametrize(
    "text",
    [
        "Saturday from 10 to 12",
        "Saturday 10 to 12",
        "Saturday 10-12",
        "Saturday 10:00\u201312:00",
        "Saturday from 10am to 12pm",
        "von 10 bis 12 Uhr am Samstag",
        "samedi de 10h à 12h",
        "sabato dalle 10 alle 12",
        "el sábado de 10 a 12",
        "zaterdag van 10 tot 12 uur",
        "Saturday 10:00 - 2h",
        "Saturday from 10 to 12 (2 hours)",
    ],
)
def test_a_range_gives_time_and_length(text: str) -> None:
    """A start and an end are a time and a length."""
    assert found(text) == ("2027-01-16", "10:00", 120)


@pytest.mark.parametrize(
    ("text", "start", "minutes"),
    [
        ("Saturday from 2-4pm", "14:00", 120),
        ("Saturday from 10 to 2", "10:00", 240),
        ("Saturday from 23:00 to 01:00", "23:00", 120),
    ],
)
def test_a_range_ends_after_it_begins(text: str, start: str, minutes: int) -> None:
    """The end of a range is the next such time after its start."""
    assert found(text) == ("2027-01-16", start, minutes)


@pytest.mark.parametrize(
    "text",
    [
        "Unfortunately Saturday 16 January at 10:00 for two hours is taken.",
        "You asked for 16 January at 10:00 for 2 hours. Unfortunately that is already taken.",
        "Saturday at 10:00 for two hours is not available.",
        "I cannot put you down for Saturday at 10:00 for two hours.",
        "Der 16. Januar um 10 Uhr für 2 Stunden ist leider belegt.",
        "Le 16 janvier à 10h pour 2 heures n'est pas disponible.",
        "Purtroppo sabato alle 10 per due ore è occupato.",
        "El sábado a las 10 durante dos horas no está disponible.",
        "Zaterdag om 10 uur voor 2 uur is helaas bezet.",
        "Infelizmente sábado às 10h por duas horas está ocupado.",
    ],
)
def test_a_refusal_is_no_lesson(text: str) -> None:
    """Words that turn a slot down put nothing down."""
    assert found(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Saturday at 10:00 or at 14:00 for two hours?",
        "Saturday or Sunday at 10:00 for two hours?",
        "Saturday 16 or Sunday 17 January at 10:00 for two hours?",
        "16 or 17 January at 10:00 for two hours?",
        "Saturday at 10:00 for 60 or 90 minutes?",
        "Samstag um 10 oder 14 Uhr für zwei Stunden?",
        "On Saturday there is 10-12 or 14-16.",
        "Saturday in a week at 10:00 for two hours",
    ],
)
def test_a_choice_is_no_lesson(text: str) -> None:
    """An offer of alternatives, or a day that is not certain, puts nothing down."""
    assert found(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "We are open Saturday 16 January from 9:00 to 17:00.",
        "Geöffnet am Samstag von 9 bis 17 Uhr.",
        "A private lesson costs CHF 90 for 60 minutes.",
        "Your lesson on 16 January at 10:00 for two hours has been cancelled.",
        "Sie hatten am 16. Januar um 10 Uhr zwei Stunden. Der Termin wurde abgesagt.",
        "Ihre Stunde am 16. Januar um 10 Uhr (60 Minuten) wurde storniert.",
        "Your lesson on 16 January at 10:00 for 60 minutes was called off by the instructor.",
        "Ihre Stunde am 16. Januar um 10 Uhr (60 Minuten) fällt aus.",
        "La lezione del 16 gennaio alle 10:00 per 60 minuti è stata disdetta.",
        "Su clase del 16 de enero a las 10:00 de 60 minutos ha quedado anulada.",
        "📅 Friday 15 January 2027, 14:30, 90 minutes \u2013 cancelled",
        "Saturday at 10 sounds good. How long should it be?",
        "For two hours on Saturday? At what time?",
        "How about Saturday at 10:00 for two hours?",
        "Would Saturday 16 January, 10:00 to 12:00, suit you?",
        "Thank you, Ana: shall I put you down for Saturday at 10:00 for two hours?",
        "Passt Ihnen Samstag um 10 Uhr für zwei Stunden?",
        "Cela vous irait-il samedi à 10 h pendant deux heures ?",
        "Le andrebbe bene sabato alle 10 per due ore?",
        "¿Le viene bien el sábado a las 10 durante dos horas?",
        "Schikt zaterdag om 10 uur voor twee uur?",
        "Que tal sábado às 10h, por duas horas?",
        "BOOK 2027-01-15 10:00 60",
        "Hello!",
        "",
    ],
)
def test_what_names_no_lesson_is_none(text: str) -> None:
    """Opening hours, prices, cancellations and half a lesson put nothing down."""
    assert found(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "I've put you down for Saturday at 10:00 for 2 hours. It is not yet confirmed.",
        "I've put you down for Saturday at 10:00 for 2 hours, is that right?",
        "I've put you down for Saturday at 10:00 for 2 hours. Does that suit you?",
        "I cannot confirm it myself, but I have noted Saturday at 10:00 for 2 hours.",
        "Samstag um 10 Uhr für 2 Stunden. Das ist noch nicht bestätigt.",
        "Samedi à 10h pour 2 heures, ce n'est pas encore confirmé.",
        "If that does not suit you, tell me: Saturday at 10:00 for 2 hours.",
        "Saturday at 10:00 for 2 hours. You will hear within 24 hours.",
        "Saturday at 10:00 for 2 hours. Please come 10 minutes early.",
        "Saturday at 10:00 for 2 hours. Free cancellation up to 24 hours before.",
        "A lesson of 60 minutes costs CHF 90. Saturday at 10:00 for 2 hours it is!",
        "Saturday at 10:00 for 2 hours at CHF 90 an hour.",
        "Saturday at 10:00 for 2 hours, but that is not final.",
        "Unfortunately Friday is taken. I have noted Saturday at 10:00 for 2 hours.",
    ],
)
def test_words_around_it_do_not_hide_a_lesson(text: str) -> None:
    """Caveats, prices, deadlines and another day's refusal leave the lesson standing."""
    assert found(text) == ("2027-01-16", "10:00", 120)


DAYS = st.dates(MONDAY, MONDAY + timedelta(days=360))
PHRASES = {
    "en": "I have put you down for {day} at {time} for {minutes} minutes.",
    "de": "Ich habe Sie für {day} um {time} Uhr für {minutes} Minuten eingetragen.",
    "fr": "Je vous ai noté le {day} à {time} pour {minutes} minutes.",
    "it": "Ho annotato {day} alle {time} per {minutes} minuti.",
    "es": "He anotado el {day} a las {time} durante {minutes} minutos.",
    "nl": "Ik heb {day} om {time} uur voor {minutes} minuten genoteerd.",
    "pt": "Anotei {day} às {time} por {minutes} minutos.",
}


@pytest.mark.parametrize("language", PHRASES)
@given(
    day=DAYS,
    minute=st.integers(0, 24 * 60 - 1),
    minutes=st.integers(2, 999),
    form=st.sampled_from(["full", "long"]),
)
def test_any_lesson_comes_back_from_words(
    language: str, day: date, minute: int, minutes: int, form: str
) -> None:
    """Whatever the day, time and length, and with the weekday or without, words give them back."""
    start = f"{minute // 60:02}:{minute % 60:02}"
    words = format_date(day, form, locale=language)
    lesson = found(PHRASES[language].format(day=words, time=start, minutes=minutes))

    assert lesson is not None
    assert (lesson[0].split()[-1], *lesson[1:]) == (day.isoformat(), start, minutes)


@given(text=st.text())
def test_any_text_is_read(text: str) -> None:
    """No text, of any script, makes reading fail."""
    assert isinstance(find_lesson(text, today=MONDAY), LessonRequest | None)


PIECES = ["16", "10", ":", "00", " january", " or ", "h", "-", " to ", " at ", "friday ", ".", "½"]


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=60))
def test_any_jumble_of_times_is_read(pieces: list[str]) -> None:
    """No jumble of what lessons are made of makes reading fail."""
    assert isinstance(find_lesson("".join(pieces), today=MONDAY), LessonRequest | None)


@pytest.mark.parametrize("piece", ["a", "1", "1:00 to ", "one and a half ", "10 h ", "! ", "ﷺ"])
def test_a_huge_text_costs_little(piece: str) -> None:
    """100,000 characters of the least favourable kind cost less than to count to two million."""
    text = (piece * 100_000)[:100_000]
    counting = least_seconds(lambda: sum(range(2_000_000)))
    assert least_seconds(lambda: find_lesson(text, today=MONDAY)) < counting


def least_seconds(work: Callable[[], object]) -> float:
    """Of the processor, in the best of five goes: in the others something else may come between."""
    return min(timeit.repeat(work, timer=time.process_time, number=1, repeat=5))


@pytest.mark.parametrize(
    "text",
    [
        "Saturday at ten o'clock for two hours. Be at the meeting point at quarter to ten.",
        "Samstag um zehn Uhr für zwei Stunden. Treffpunkt ist Viertel vor zehn an der Gondel.",
        "Samstag um zehn für zwei Stunden, die Gondel fährt ab halb neun.",
        "zaterdag om tien uur voor twee uur. We spreken af om kwart voor tien.",
        "Saturday at ten for an hour, half past two at the latest you are back.",
        "am Samstag um fünf vor halb elf für eine Stunde",
    ],
)
def test_of_two_times_in_words_none_is_taken(text: str) -> None:
    """The time of a meeting point is not mistaken for the lesson's."""
    assert found(text) is None


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("Yes, your lesson is confirmed!", True),
        ("Ihre Stunde am Sonntag ist bestätigt!", True),
        ("Done! I have cancelled your lesson.", True),
        ("Votre leçon est réservée.", True),
        ("La lezione è stata disdetta.", True),
        ("Ihre Stunde ist bestätigt worden.", True),
        ("De les is bevestigd.", True),
        ("Your lesson has been cancelled.", True),
        ("Lessons can be cancelled free of charge up to 24 hours before.", False),
        ("You will hear from us as soon as it is confirmed.", False),
        ("Ihre Anfrage wird vom Skilehrer bestätigt.", False),
        ("Stunden können bis 24 Stunden vorher abgesagt werden.", False),
        ("La leçon sera confirmée par le moniteur.", False),
        ("Riceverà un messaggio appena sarà confermata.", False),
        ("Las clases pueden ser canceladas.", False),
        ("De les kan worden geannuleerd.", False),
        ("If it is confirmed, you will hear from us.", False),
        ("Your slot is reserved.", True),
        ("Votre cours est validé.", True),
        ("Tu clase está agendada.", True),
        ("A aula está marcada.", True),
        ("Your instructor has accepted your lesson.", True),
        ("You're all set for Friday at 10:00!", True),
        ("Your lesson has been moved to Saturday.", True),
        ("The lesson is scheduled for Friday.", True),
        ("Der Skilehrer hat Ihre Stunde angenommen.", True),
        ("Ihre Stunde wurde auf Samstag verschoben.", True),
        ("Votre cours a été déplacé à samedi.", True),
        ("Il maestro ha accettato la lezione.", True),
        ("La lezione è stata spostata a sabato.", True),
        ("La clase ha sido aprobada.", True),
        ("A aula foi remarcada.", True),
        ("De les is verplaatst naar zaterdag.", True),
        ("I can have it moved to Saturday, if you like.", False),
        ("The instructor decides whether a lesson is moved.", False),
        ("Die Stunde kann verschoben werden.", False),
        ("Once the instructor has accepted it, you will hear from us.", False),
        ("Les skieurs confirmés peuvent aller sur la piste noire.", False),
        ("Most days in February get booked up early.", False),
        ("Have you booked your ski hire?", False),
        ("We are fully-booked on Saturday.", False),
        ("Haben Sie schon ein Hotel gebucht?", False),
        ("Las pistas marcadas en azul son fáciles.", False),
        ("Saturday is fully booked.", False),
        ("What time would suit you?", False),
        ("", False),
    ],
)
def test_claims_of_a_state_are_noticed(text: str, *, claims: bool) -> None:
    """Words that say that something is booked, confirmed or cancelled."""
    assert (claims_of_a_state(text) is not None) is claims


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Your lesson is confirmed!", True),
        ("La lezione è confermata.", True),
        ("Done, it is cancelled.", False),
        ("The red run is reserved. Is a lesson on Saturday what you want?", False),
    ],
)
def test_claims_may_name_a_lesson(text: str, *, named: bool) -> None:
    """In the sentence that makes the claim."""
    claims = claims_of_a_state(text)
    assert claims is not None
    assert claims.of_a_lesson is named
