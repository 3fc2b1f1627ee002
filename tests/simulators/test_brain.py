"""How the simulated model answers."""

from typing import Any

import msgspec
import pytest

from frostdesk.simulators.brain import answer
from frostdesk.simulators.chat import ChatRequest, Turn

PROMPT = "You are the front desk.\nToday is Friday 2027-01-15, the time is 14:30."


def tool(name: str, **properties: Any) -> dict[str, Any]:
    """A tool on offer."""
    parameters = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


PROPOSE = tool("propose_booking", date={}, time={}, duration={})
ASK = tool("ask_instructor", reason={"type": "string"}, kind={"enum": ["complaint", "other"]})


def think(*said: str | dict[str, Any], tools: list[dict[str, Any]] | None = None) -> Turn:
    """The turn on what customer and model said in turns, the customer first."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": PROMPT}]
    for number, words in enumerate(said):
        role = "assistant" if number % 2 else "user"
        messages.append(words if isinstance(words, dict) else {"role": role, "content": words})
    body = {"model": "m", "messages": messages, "tools": [PROPOSE] if tools is None else tools}
    return answer(msgspec.convert(body, ChatRequest))


def booked(turn: Turn) -> dict[str, Any]:
    """The arguments of the turn's only call."""
    (call,) = turn.calls
    assert call.name == "propose_booking"
    arguments: dict[str, Any] = msgspec.json.decode(call.arguments)
    return arguments


LESSON = {"date": "2027-01-16", "time": "10:00", "duration": 120}


def test_greets_and_asks_for_all() -> None:
    """A first hello is greeted, and asked for day, time and length."""
    text = think("Hi there").text or ""
    assert text.startswith("Hello!")
    assert "the day" in text
    assert "at what time" in text
    assert "how long" in text


def test_asks_for_the_rest() -> None:
    """Only what is missing is asked for."""
    text = think("Saturday at 10 please").text or ""
    assert "how long" in text
    assert "the day" not in text


@pytest.mark.parametrize(
    ("text", "word"),
    [("Guten Tag, ich möchte einen Skikurs", "Bitte"), ("Bonjour, une leçon de ski", "Dites-moi")],
)
def test_answers_in_the_language(text: str, word: str) -> None:
    """German is answered in German, French in French."""
    assert word in (think(text).text or "")


def test_proposes() -> None:
    """A complete request calls the tool, with no text beside it."""
    turn = think("[Friday 2027-01-15 14:30] Saturday at 10 for two hours")
    assert booked(turn) == LESSON
    assert turn.text is None


def test_remembers() -> None:
    """Day, time and length may come in three messages."""
    turn = think("Saturday please", "At what time?", "at 10", "How long?", "two hours")
    assert booked(turn) == LESSON


def test_tomorrow_is_counted_from_its_message() -> None:
    """A "tomorrow" that was said yesterday is today."""
    turn = think("[Thursday 2027-01-14 20:00] tomorrow at 10", "How long?", "[x] 1 hour")
    assert booked(turn)["date"] == "2027-01-15"


def test_takes_joined_messages_apart() -> None:
    """Messages joined in one are each read with their own day."""
    joined = "[Thursday 2027-01-14 20:00] tomorrow\n[Friday 2027-01-15 09:00] at 10 for 1 hour"
    assert booked(think(joined))["date"] == "2027-01-15"


def test_a_new_day_opens_a_new_lesson() -> None:
    """After a lesson was named in full, another day is asked about anew."""
    said = ("Saturday at 10 for two hours", "Sat 16 January 2027, 10:00, 120 minutes: asked")
    assert "how long" in (think(*said, "And one on Sunday").text or "")
    assert booked(think(*said, "Make it Sunday instead"))["date"] == "2027-01-17"
    assert booked(think(*said, "at 11:30 please"))["time"] == "11:30"


def test_thanks_propose_nothing() -> None:
    """Words without a lesson in them do not propose the last one again."""
    turn = think("Saturday at 10 for two hours", "I asked the instructor.", "Thanks!")
    assert not turn.calls
    assert "welcome" in (turn.text or "")


@pytest.mark.parametrize("tools", [[], [ASK]])
def test_without_the_tool_says_it_plainly(tools: list[dict[str, Any]]) -> None:
    """A model that was offered no tool names date, time and length in plain words."""
    turn = think("Saturday at 10 for two hours", tools=tools)
    assert turn == Turn("I have put you down for 2027-01-16 at 10:00 for 120 minutes.")


def test_asks_the_instructor() -> None:
    """Whoever is hurt or wants a person reaches the instructor through the tool, or is told so."""
    (call,) = think("I want to talk to a human", tools=[PROPOSE, ASK]).calls
    assert call.name == "ask_instructor"
    assert msgspec.json.decode(call.arguments) == {
        "reason": "I want to talk to a human",
        "kind": "complaint",
    }
    assert "instructor" in (think("I am hurt").text or "")


def result(content: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A proposal of the model and what came of it."""
    function = {"name": "propose_booking", "arguments": "{}"}
    called = {"role": "assistant", "tool_calls": [{"id": "c1", "function": function}]}
    return called, {"role": "tool", "tool_call_id": "c1", "content": content}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Proposed; it waits for the instructor and is not confirmed yet.", "I have asked"),
        ('{"ok": true, "error": null}', "I have asked"),
        ("Refused: that slot is taken.", "Sorry"),
        ('{"error": "in the past"}', "Sorry"),
    ],
)
def test_answers_a_result(content: str, expected: str) -> None:
    """A result that went well is announced; a refusal asks for another time."""
    assert (think("Saturday at 10 for two hours", *result(content)).text or "").startswith(expected)


@pytest.mark.parametrize("role", ["system", "user", "developer"])
def test_announces_decisions(role: str) -> None:
    """The service's closing message gets a sentence for the customer, in that one's language."""
    notice = {
        "role": role,
        "content": "The instructor has confirmed it. Tell the customer.",
    }
    assert "confirmed" in (think("Hello", "Hello!", notice).text or "")
    cancelled = {**notice, "content": "The lesson was cancelled by the instructor."}
    assert "abgesagt" in (think("Guten Tag, danke", "Gern!", cancelled).text or "")


def test_a_customer_does_not_decide() -> None:
    """A customer who says that the instructor has confirmed is not believed."""
    said = "[Friday 2027-01-15 14:30] The instructor has confirmed, right?"
    assert "Good news" not in (think(said).text or "")
