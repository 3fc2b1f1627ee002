"""Replies and notices: what the model writes, and what the customer gets."""

from __future__ import annotations

from typing import Any

import pytest

from frostdesk.assistant.model import Model
from frostdesk.assistant.reply import Draft, draft_notice
from frostdesk.errors import GiveUpError, TryAgainError
from frostdesk.retry import attempts_made
from frostdesk.wording.lines import fallback_reply, lesson_line, notice
from tests.assistant.scripted import (
    ASKED,
    IN_WORDS,
    INSTRUCTIONS,
    LESSON,
    PROPOSED,
    Answer,
    ScriptedServer,
    asks,
    body,
    calls,
    cuts,
    fails,
    reply,
    says,
    situation,
    wrote,
)


async def tell(model: Model, state: Any, *history: str, **differing: Any) -> Draft:
    """The notice, with waits too short to notice."""
    asked = situation(*history, **differing)
    return await draft_notice(model, asked, lesson=LESSON, state=state, wait_initial=0.001)


async def test_words_are_the_reply(model: Model, server: ScriptedServer) -> None:
    """Words alone are sent as they are, after one call, and its cost is known."""
    server.script(says("At what time?"))

    draft = await reply(model)

    assert (draft.text, draft.lessons, draft.language) == ("At what time?", (), "en")
    assert (draft.model, draft.input_tokens, draft.output_tokens) == ("small", 100, 20)
    assert draft.attempts == len(server.bodies) == 1
    assert 0 < draft.seconds < 5
    assert len(draft.prompt_hash or "") == 64


async def test_a_tool_call_without_words(model: Model, server: ScriptedServer) -> None:
    """Where the model has no words to its proposal, a polite sentence stands in."""
    server.script(calls(ASKED), says(None))

    draft = await reply(model)

    assert draft.text == f"{fallback_reply('en', proposed=True)}\n\n{PROPOSED}"


async def test_no_words_at_all(model: Model, server: ScriptedServer) -> None:
    """Where the model says nothing, the customer is asked for day, time and length."""
    server.script(says(""))

    assert (await reply(model)).text == fallback_reply("en", proposed=False)


async def test_calls_end_after_three_rounds(model: Model, server: ScriptedServer) -> None:
    """A model that only ever calls tools is asked three times; what it proposed stands."""
    server.script(calls(ASKED))

    draft = await reply(model)

    assert len(server.bodies) == 3
    assert draft.lessons == (LESSON,)
    assert draft.text == f"{fallback_reply('en', proposed=True)}\n\n{PROPOSED}"


async def test_a_server_without_tools(model: Model, server: ScriptedServer) -> None:
    """A server that refuses tools is asked again without them, and its words are read."""
    server.script(fails(400, "this model does not support tools"), says(IN_WORDS))

    draft = await reply(model)

    assert "tools" in server.bodies[0]
    assert "tools" not in server.bodies[1]
    assert (draft.lessons, draft.attempts) == ((LESSON,), 2)


@pytest.mark.parametrize("answer", [fails(500), fails(429), body(b"?"), body({}), cuts])
async def test_what_may_pass_is_tried_three_times(
    model: Model, server: ScriptedServer, answer: Answer
) -> None:
    """A failure that may pass is tried three times, then raised with the number of attempts."""
    server.script(answer)

    with pytest.raises(TryAgainError) as caught:
        await reply(model)

    assert len(server.bodies) == attempts_made(caught.value) == 3


async def test_a_failure_that_passes_is_forgotten(model: Model, server: ScriptedServer) -> None:
    """A call that succeeds at its third attempt gives the reply."""
    server.script(fails(500), body(b"?"), says("Hello"))

    draft = await reply(model)

    assert (draft.text, draft.attempts) == ("Hello", 3)


async def test_a_refusal_is_not_repeated(model: Model, server: ScriptedServer) -> None:
    """A refused key is raised at once."""
    server.script(fails(401))

    with pytest.raises(GiveUpError) as caught:
        await reply(model)

    assert len(server.bodies) == attempts_made(caught.value) == 1


async def test_the_first_reply_tells_of_the_ai(model: Model, server: ScriptedServer) -> None:
    """Where the customer has yet to be told, the sentence about the AI comes first, by code."""
    server.script(calls(ASKED), says("With pleasure."))

    draft = await reply(model, disclose=True)

    assert draft.text == f"{INSTRUCTIONS.disclosure['en']}\n\nWith pleasure.\n\n{PROPOSED}"


async def test_code_writes_in_the_customers_language(model: Model, server: ScriptedServer) -> None:
    """What code adds is in the language of the customer's words."""
    server.script(calls(ASKED), says(None))

    draft = await reply(model, "Guten Tag, haben Sie morgen Zeit für mich?", disclose=True)

    assert draft.language == "de"
    assert draft.text == "\n\n".join(
        (
            INSTRUCTIONS.disclosure["de"],
            fallback_reply("de", proposed=True),
            lesson_line(LESSON, "proposed", "de"),
        )
    )


async def test_the_models_language_does_not_count(model: Model, server: ScriptedServer) -> None:
    """The language is the customer's, whatever the assistant wrote before."""
    server.script(says("Oui."))
    history = (
        wrote("Bonjour, une leçon demain matin ?"),
        wrote("With pleasure, the day after tomorrow is free too.", author="assistant"),
        wrote("ok"),
    )

    assert (await reply(model, *history)).language == "fr"  # type: ignore[arg-type]  # entries too


async def test_a_long_reply_is_cut(model: Model, server: ScriptedServer) -> None:
    """A reply of 100,000 characters is cut, and its lesson line still stands below."""
    server.script(calls(ASKED), says("We ski every day. " * 6000))

    draft = await reply(model)

    assert len(draft.text) < 12_200
    assert draft.text.endswith(f"…\n\n{PROPOSED}")


@pytest.mark.parametrize("state", ["confirmed", "cancelled"])
async def test_a_notice_is_written_by_the_model(
    model: Model, server: ScriptedServer, state: Any
) -> None:
    """The model writes the notice of a decision, without tools, and code adds the lesson's line."""
    server.script(says("Dear guest, it is settled."))

    draft = await tell(model, state, "Hello, is there a lesson on Friday?")

    asked = server.bodies[0]["messages"][-1]
    assert f"just {state} this lesson: Friday 2027-01-15 14:30, 90 minutes" in asked["content"]
    assert "tools" not in server.bodies[0]
    assert draft.text == f"Dear guest, it is settled.\n\n{lesson_line(LESSON, state, 'en')}"
    assert (draft.model, draft.lessons, draft.attempts) == ("small", (), 1)


@pytest.mark.parametrize("answer", [fails(500), fails(401), body(b"?"), says(None), cuts])
@pytest.mark.parametrize("state", ["confirmed", "cancelled"])
async def test_a_notice_never_fails(
    model: Model, server: ScriptedServer, answer: Answer, state: Any
) -> None:
    """However the model fails, the customer is told in a plain sentence of their language."""
    server.script(answer)

    draft = await tell(model, state, "Bonjour, une leçon demain matin ?")

    assert draft.text == f"{notice(state, 'fr')}\n\n{lesson_line(LESSON, state, 'fr')}"
    assert draft.model is None


async def test_a_notice_proposes_nothing(model: Model, server: ScriptedServer) -> None:
    """A lesson in the words of a notice, or a tool call in it, is no proposal."""
    server.script(calls(asks("2027-01-16", "10:00", 60), text=IN_WORDS))

    assert (await tell(model, "confirmed")).lessons == ()


async def test_a_notice_of_another_lesson_is_not_passed_on(
    model: Model, server: ScriptedServer
) -> None:
    """Words that put the customer down for a lesson that was not decided about are replaced."""
    server.script(says("Fine! I have put you down for 2027-01-16 at 10:00 for 60 minutes."))

    draft = await tell(model, "confirmed")

    assert draft.text == f"{notice('confirmed', 'en')}\n\n{lesson_line(LESSON, 'confirmed', 'en')}"


async def test_a_notice_may_be_the_first_message(model: Model, server: ScriptedServer) -> None:
    """A notice to someone who has yet to be told of the AI says so first."""
    server.script(says("Done."))

    draft = await tell(model, "confirmed", disclose=True)

    assert draft.text.startswith(INSTRUCTIONS.disclosure["en"])
