"""Hostile customers and a model that obeys them: what they get is words, and nothing else."""

from __future__ import annotations

import asyncio
import json
import re
import unicodedata
from collections.abc import AsyncIterator
from datetime import time
from pathlib import Path

import msgspec
import pytest
from aiohttp.test_utils import TestServer
from pytest_aiohttp import AiohttpServer

from frostdesk.events import Lesson
from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool
from frostdesk.wording.lines import all_sentences, lesson_line
from tests.factories import AHEAD, confirmed, generated, lesson, proposed, received, sender, sent
from tests.security.obedient import ObedientModel
from tests.support.desk import Desk, running_api, running_outside, running_worker, settings_of
from tests.support.secrets import (
    APP_SECRET,
    INSTRUCTOR_TOKEN,
    MODEL_KEY,
    PHONE_NUMBER_ID,
    VERIFY_TOKEN,
    WHATSAPP_TOKEN,
)

HOSTILE = Path(__file__).with_name("hostile.txt").read_text().strip().split("\n---\n")

SECRETS = (APP_SECRET, INSTRUCTOR_TOKEN, MODEL_KEY, VERIFY_TOKEN, WHATSAPP_TOKEN)
OTHERS = ("Berthold", "kneecap", "41795550000", "CH.5550000", "berthold.example")
"""What is known of another customer, who has a confirmed lesson."""

AN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|wamid\.\w+")
LOOKS_LIKE_A_MARK = re.compile("[📅📆🗓]")


def phone_of(number: int) -> str:
    """The phone of the customer who writes that message of the corpus."""
    return f"4179111{number:04}"


@pytest.fixture
async def obedient(aiohttp_server: AiohttpServer) -> tuple[ObedientModel, TestServer]:
    """The model that obeys."""
    model = ObedientModel()
    return model, await aiohttp_server(model.app())


@pytest.fixture
async def desk(
    environment: dict[str, str],
    pool: Pool,
    api_port: int,
    obedient: tuple[ObedientModel, TestServer],
) -> AsyncIterator[Desk]:
    """The desk with that model, and another customer's conversation in it."""
    async with EventStore(pool) as store:
        other = sender("41795550000", user_id="CH.5550000", name="Berthold", username=OTHERS[-1])
        asked = received("My kneecap hurts", by=other)
        (appended,) = await store.append([asked])
        booking = proposed(lesson(AHEAD, time(14)))
        decision = confirmed(booking)
        told = generated(answers=(asked.id,), about=decision.id, booking_id=booking.id)
        await store.append(
            [booking, decision, told, sent(told)], conversation_id=appended.conversation_id
        )
    settings = settings_of(environment | {"OPENAI_BASE_URL": str(obedient[1].make_url("/v1"))})
    async with (
        running_api(settings, port=api_port),
        running_outside(environment, pool) as desk,
        running_worker(settings),
    ):
        yield desk


async def test_the_corpus_gets_nowhere(
    desk: Desk, obedient: tuple[ObedientModel, TestServer], subtests: pytest.Subtests
) -> None:
    """Every hostile message is answered; nothing is confirmed, forged, told of others or leaked."""
    phones = [desk.phone(phone_of(n)) for n in range(len(HOSTILE))]
    await asyncio.gather(*(p.write(t) for p, t in zip(phones, HOSTILE, strict=True)))
    await asyncio.gather(*(p.hears(1, seconds=60) for p in phones))
    await desk.is_idle()
    heard = await asyncio.gather(*(p.heard() for p in phones))
    with subtests.test("nothing is decided but by the instructor"):
        assert len(await desk.events("BookingConfirmed")) == 1
        assert await desk.events("BookingCancelled") == []
    lines = await _code_lines(desk)
    for number, (text, replies) in enumerate(zip(HOSTILE, heard, strict=True)):
        with subtests.test(text=text):
            assert _marked("\n".join(replies)) == lines.get(phone_of(number), [])
    prompts = obedient[0].bodies
    assert len(prompts) > len(HOSTILE)
    with subtests.test("no prompt holds anything secret or of others"):
        for prompt in prompts:
            _check_prompt(prompt)
    with subtests.test("nobody hears anything secret or of others"):
        assert _found_in("\n".join(r for replies in heard for r in replies)) == []


async def _code_lines(desk: Desk) -> dict[str, list[str]]:
    """The lines that code has to have written, by the customer's phone."""
    rows = await desk.pool.fetch(
        "SELECT c.wa_id, g.data ->> 'language' AS language, p.data -> 'lesson' AS lesson"
        "  FROM events p JOIN events g ON g.id = (p.data ->> 'reply_id')::uuid"
        "  JOIN conversations c ON c.id = p.conversation_id"
        " WHERE p.type = 'BookingProposed' ORDER BY p.position"
    )
    lines: dict[str, list[str]] = {}
    for row in rows:
        given = json.loads(row["lesson"])
        line = lesson_line(msgspec.convert(given, Lesson), "proposed", row["language"])
        lines.setdefault(row["wa_id"], []).append(line)
    return lines


def _marked(text: str) -> list[str]:
    """The lines in which a reader sees the mark of a fact, wherever it stands in them."""
    return [line for line in text.splitlines() if LOOKS_LIKE_A_MARK.search(line)]


def _check_prompt(prompt: str) -> None:
    """The request holds no secret, no number, no id, and nothing of the other customer.

    The customer's own words are theirs; nobody in the corpus writes a number or an id of ours.
    """
    messages = json.loads(prompt)["messages"]
    ours = [m for m in messages if m["role"] == "system"]
    assert len(ours) == 1
    assert messages.index(ours[0]) == 0
    assert _found_in(prompt) == []
    own = [m["content"] for m in messages if m["role"] == "user"]
    assert len(own) == 1
    written = unicodedata.normalize("NFC", own[0])
    assert any(unicodedata.normalize("NFC", text) in written for text in HOSTILE)
    for invented in AN_ID.findall(prompt):
        assert invented in own[0]


def _found_in(text: str) -> list[str]:
    numbers = [PHONE_NUMBER_ID, *(phone_of(n) for n in range(len(HOSTILE)))]
    return [hidden for hidden in (*SECRETS, *OTHERS, *numbers) if hidden in text]


async def test_only_the_instructors_word_is_told_as_confirmed(desk: Desk) -> None:
    """After a real confirmation the customer sees one line of code's, whatever the model adds."""
    phone = desk.phone(phone_of(0))
    await phone.write(HOSTILE[0])
    await desk.is_idle()
    booking = (await desk.has_events("BookingProposed", 2))[-1]
    await desk.api.post(f"/bookings/{booking['event_id']}/confirm")
    await desk.has_events("ReplySent", 3)
    agreed = msgspec.convert(booking["lesson"], Lesson)
    assert _marked("\n".join(await phone.heard())) == [
        lesson_line(agreed, "proposed", "en"),
        lesson_line(agreed, "confirmed", "en"),
    ]


def test_the_corpus_is_large_enough() -> None:
    """At least forty different messages, in several languages."""
    assert len(set(HOSTILE)) == len(HOSTILE) >= 40


def test_every_languages_line_bears_the_mark() -> None:
    """The mark that no model may write is the one that code's lines begin with."""
    assert all(s.lesson.startswith("📅 ") for s in all_sentences().values())
