"""Lessons that the model asks to put down, by tool or in words, and what comes of them."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from frostdesk.assistant.model import Model
from frostdesk.assistant.proposals import MOST_LESSONS
from frostdesk.lessons.checking import LessonRefusedError, Refusal
from frostdesk.wording.lines import lesson_line, nothing_there, refusal_line
from tests.assistant.scripted import (
    ASKED,
    FRIDAY,
    IN_WORDS,
    LESSON,
    PROPOSED,
    Answer,
    ScriptedServer,
    asks,
    calls,
    lesson,
    reply,
    says,
)

SATURDAY = date(2027, 1, 16)


def refusal(reason: Refusal, at: date = FRIDAY, language: str = "en") -> str:
    """The line that refuses the lesson of these tests."""
    return refusal_line(LessonRefusedError(reason, date=at, time=time(14, 30)), language)


async def test_a_tool_call_proposes(model: Model, server: ScriptedServer) -> None:
    """A valid tool call proposes the lesson, and its line stands below the model's words."""
    server.script(calls(ASKED), says("With pleasure."))

    draft = await reply(model)

    assert draft.lessons == (LESSON,)
    assert draft.text == f"With pleasure.\n\n{PROPOSED}"
    assert (draft.attempts, draft.input_tokens, draft.output_tokens) == (2, 200, 40)


async def test_the_model_hears_the_result(model: Model, server: ScriptedServer) -> None:
    """The second call carries the tool call back, and a result under its id."""
    server.script(calls(ASKED), says("With pleasure."))

    await reply(model)

    call, result = server.bodies[1]["messages"][-2:]
    assert call["tool_calls"][0]["id"] == result["tool_call_id"] == "call_1"
    assert result["role"] == "tool"
    assert "Put down as a proposal: Friday 2027-01-15 14:30, 90 minutes." in result["content"]
    assert "not confirmed" in result["content"]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (asks("2027-01-13", "14:30", 90), Refusal.PAST),
        (asks("Monday 2027-01-15", "14:30", 90), Refusal.WRONG_WEEKDAY),
        (asks("2027-01-15", "14:30", 900), Refusal.TOO_LONG),
        (asks("tomorrow", "14:30", 90), Refusal.BAD_DATE),
        (asks("2027-01-15", "14:30", "long"), Refusal.BAD_DURATION),
        ({"date": "2027-01-15", "time": None}, Refusal.BAD_TIME),
        ({}, Refusal.BAD_DATE),
    ],
)
async def test_a_bad_proposal_is_refused(
    model: Model, server: ScriptedServer, asked: Any, reason: Refusal
) -> None:
    """A bad proposal is explained to the model and to the customer, and books nothing."""
    server.script(calls(asked), says("I have booked it!"))

    draft = await reply(model)

    day = date.fromisoformat("2027-01-13") if reason == Refusal.PAST else FRIDAY
    assert draft.lessons == ()
    assert draft.text == f"I have booked it!\n\n{refusal(reason, day)}"
    assert "No lesson has been put down" in server.tool_results()[0]


async def test_a_refusal_needs_no_other_words(model: Model, server: ScriptedServer) -> None:
    """Where the model is silent after a refusal, the line with its reason says all."""
    server.script(calls(asks("2027-01-13", "14:30", 90)), says(None))

    assert (await reply(model)).text == refusal(Refusal.PAST, date(2027, 1, 13))


async def test_a_corrected_proposal_counts(model: Model, server: ScriptedServer) -> None:
    """A model may mend a refused proposal in the same reply; the refusal is then no matter."""
    server.script(calls(asks("Monday 2027-01-15", "14:30", 90)), calls(ASKED), says("Done."))

    draft = await reply(model)

    assert draft.lessons == (LESSON,)
    assert draft.text == f"Done.\n\n{PROPOSED}"


@pytest.mark.parametrize("answer", [calls("no JSON"), calls('["2027-01-15"]')])
async def test_unreadable_arguments_are_denied_by_code(
    model: Model, server: ScriptedServer, answer: Answer
) -> None:
    """Whatever the model then says, the customer reads that nothing has been put down."""
    server.script(answer, says("You have your lesson."))

    draft = await reply(model)

    assert draft.lessons == ()
    assert draft.text.startswith("You have your lesson.\n\nNo lesson has been put down: ")


async def test_what_is_put_right_is_not_denied(model: Model, server: ScriptedServer) -> None:
    """A call that was refused and then made properly leaves only the lesson's line."""
    server.script(calls("no JSON"), calls(ASKED), says("Done."))

    draft = await reply(model)

    assert (draft.lessons, draft.text) == ((LESSON,), f"Done.\n\n{PROPOSED}")


@pytest.mark.parametrize("name", ["confirm_booking", ""])
async def test_an_unknown_tool_does_nothing(
    model: Model, server: ScriptedServer, name: str
) -> None:
    """A tool that there is not is answered with an error, and books nothing."""
    server.script(calls(ASKED, name=name), says("At what time?"))

    draft = await reply(model)

    assert (draft.lessons, draft.text) == ((), "At what time?")
    assert len(server.tool_results()) == 1


async def test_words_after_an_invalid_call_are_read(model: Model, server: ScriptedServer) -> None:
    """A model that fails to call the tool may still propose in plain words."""
    server.script(calls(ASKED, name="book_lesson"), says(IN_WORDS))

    assert (await reply(model)).lessons == (LESSON,)


async def test_two_calls_propose_two_lessons(model: Model, server: ScriptedServer) -> None:
    """Two tool calls at once are two lessons with a line each, and every call is answered."""
    server.script(calls(ASKED, asks("2027-01-16", "10:00", 60)), says("Two."))

    draft = await reply(model)

    second = lesson(SATURDAY, time(10, 0), 60)
    assert draft.lessons == (LESSON, second)
    assert draft.text == f"Two.\n\n{PROPOSED}\n{lesson_line(second, 'proposed', 'en')}"
    assert len(server.tool_results()) == 2


async def test_two_proposals_may_overlap(model: Model, server: ScriptedServer) -> None:
    """Two lessons to choose from are both proposed: only a confirmed one takes its time."""
    server.script(calls(ASKED, asks("2027-01-15", "15:30", 60)), says("Either."))

    draft = await reply(model)

    other = lesson(FRIDAY, time(15, 30), 60)
    assert draft.lessons == (LESSON, other)
    assert draft.text == f"Either.\n\n{PROPOSED}\n{lesson_line(other, 'proposed', 'en')}"


async def test_the_same_lesson_is_proposed_once(model: Model, server: ScriptedServer) -> None:
    """The same lesson asked for twice, at once or in another round, is one proposal."""
    server.script(calls(ASKED, ASKED), calls(ASKED), says("Done."))

    draft = await reply(model)

    assert draft.lessons == (LESSON,)
    assert draft.text == f"Done.\n\n{PROPOSED}"
    assert "already" in server.tool_results()[1]


@pytest.mark.parametrize(("status", "state"), [("pending", "proposed"), ("confirmed",) * 2])
async def test_a_lesson_that_is_there_is_not_proposed(
    model: Model, server: ScriptedServer, status: str, state: Any
) -> None:
    """A lesson that the customer has already is not proposed again; its state is shown."""
    server.script(calls(ASKED), says("You have it."))
    taken = (LESSON,) if status == "confirmed" else ()

    draft = await reply(model, bookings=((LESSON, status),), taken=taken)

    assert draft.lessons == ()
    assert draft.text == f"You have it.\n\n{lesson_line(LESSON, state, 'en')}"
    assert status in server.tool_results()[0]


@pytest.mark.parametrize(("status", "state"), [("pending", "proposed"), ("confirmed",) * 2])
async def test_a_claim_never_stands_alone(
    model: Model, server: ScriptedServer, status: str, state: Any
) -> None:
    """Where the model's words say that something is confirmed or cancelled, code says what is."""
    server.script(says("Done, your lesson is cancelled!"))

    draft = await reply(model, bookings=((LESSON, status), (LESSON, "cancelled")))

    assert draft.lessons == ()
    assert draft.text == (f"Done, your lesson is cancelled!\n\n{lesson_line(LESSON, state, 'en')}")


async def test_a_claim_about_nothing_is_told_so(model: Model, server: ScriptedServer) -> None:
    """A customer without a lesson is not left to believe in one."""
    server.script(says("Your lesson on Saturday is confirmed!"))

    draft = await reply(model, bookings=((LESSON, "cancelled"),))

    assert draft.text.endswith(f"\n\n{nothing_there('en')}")


@pytest.mark.parametrize(
    ("second", "left"),
    [
        (asks("2027-01-13", "16:30", 60), "16:30"),
        (asks("Monday 2027-01-15", "14:30", 90), "13 January"),
    ],
    ids=["the first, as both are as likely", "the one of the same day"],
)
async def test_a_correction_puts_one_refusal_right(
    model: Model, server: ScriptedServer, second: dict[str, Any], left: str
) -> None:
    """Of two lessons that were refused, the likelier one is mended: the other is told of."""
    refused = calls(asks("2027-01-13", "14:30", 90), second)
    server.script(refused, calls(ASKED), says("Both are noted!"))

    draft = await reply(model)

    words, line, other = draft.text.replace("\n\n", "\n").split("\n")
    assert (words, line) == ("Both are noted!", PROPOSED)
    assert other.startswith("Another lesson has not been put down: ")
    assert left in other


async def test_a_claim_beside_a_proposal_is_set_right(model: Model, server: ScriptedServer) -> None:
    """Another lesson that is said to be cancelled, and is not, is told of too."""
    other = lesson(SATURDAY, time(10, 0), 60)
    server.script(calls(ASKED), says("Your Saturday lesson is cancelled, Friday is noted."))

    draft = await reply(model, bookings=((other, "confirmed"),))

    assert draft.lessons == (LESSON,)
    assert draft.text.endswith(f"\n\n{PROPOSED}\n{lesson_line(other, 'confirmed', 'en')}")


async def test_a_cancelled_lesson_can_be_proposed_again(
    model: Model, server: ScriptedServer
) -> None:
    """A cancelled lesson is no obstacle to the same one anew."""
    server.script(calls(ASKED), says("Again."))

    assert (await reply(model, bookings=((LESSON, "cancelled"),))).lessons == (LESSON,)


async def test_a_taken_slot_is_refused(model: Model, server: ScriptedServer) -> None:
    """A lesson in a slot that is taken is refused, to the model and to the customer."""
    server.script(calls(ASKED), says("Booked!"))

    draft = await reply(model, taken=(lesson(FRIDAY, time(15, 0)),))

    assert draft.lessons == ()
    assert draft.text == f"Booked!\n\n{refusal(Refusal.TAKEN)}"


async def test_lessons_of_one_reply_are_bounded(model: Model, server: ScriptedServer) -> None:
    """A model that proposes without end is stopped, and told."""
    many = [asks(f"2027-02-{day:02}", "10:00", 60) for day in range(1, 21)]
    server.script(calls(*many), says("All."))

    assert len((await reply(model)).lessons) == MOST_LESSONS
    assert "the most in one reply" in server.tool_results()[-1]


async def test_plain_words_propose(model: Model, server: ScriptedServer) -> None:
    """A model that knows no tools proposes by its words, checked in the same way."""
    server.script(says(f"[Thursday 2027-01-14 13:00] {IN_WORDS}"))

    draft = await reply(model)

    assert draft.lessons == (LESSON,)
    assert draft.text == f"{IN_WORDS}\n\n{PROPOSED}"


async def test_plain_words_are_checked(model: Model, server: ScriptedServer) -> None:
    """A bad lesson in plain words is refused below them."""
    server.script(says(IN_WORDS))

    draft = await reply(model, taken=(LESSON,))

    assert draft.lessons == ()
    assert draft.text == f"{IN_WORDS}\n\n{refusal(Refusal.TAKEN)}"


async def test_plain_words_mean_the_business_days(model: Model, server: ScriptedServer) -> None:
    """A "tomorrow" in the model's words is the day after today where the business is."""
    server.script(says("I have put you down for tomorrow at 14:30 for 90 minutes."))
    now = datetime(2027, 1, 14, 23, 30, tzinfo=ZoneInfo("UTC"))

    draft = await reply(model, now=now)

    assert [found.date for found in draft.lessons] == [SATURDAY]


async def test_a_reply_after_a_tool_call_is_not_parsed(
    model: Model, server: ScriptedServer
) -> None:
    """Once a tool call has been judged, a lesson in the words proposes nothing more."""
    server.script(calls(asks("2027-01-13", "14:30", 90)), says(IN_WORDS))

    assert (await reply(model)).lessons == ()
