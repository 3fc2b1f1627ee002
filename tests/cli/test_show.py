"""`frostdesk show`: the story of a conversation."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

from tests.logs import NEWEST, bring_in, stored
from tests.support.programs import Programs


@pytest.fixture
async def log(database_url: str) -> list[dict[str, Any]]:
    """A log with every kind of event, brought into this test's database."""
    await bring_in(database_url)
    return stored(NEWEST)


async def told(programs: Programs, anything: str) -> list[dict[str, Any]]:
    """The story that contains a conversation, booking, message or event."""
    found = await programs.run("show", anything, "--json")
    assert (found.returncode, found.stderr) == (0, "")
    return [json.loads(line) for line in found.stdout.splitlines()]


async def test_the_story_is_whole(programs: Programs, log: list[dict[str, Any]]) -> None:
    """Every event is told, with who, why, when by the desk's clock, and which rows."""
    mine = [e for e in log if e["conversation_id"] == log[0]["conversation_id"]]
    story = await told(programs, log[0]["conversation_id"])
    assert [t["id"] for t in story] == [e["id"] for e in mine]
    assert [t["actor"] for t in story] == [e["actor"] for e in mine]
    first, failure = story[0], story[1]
    assert first["recorded_at"].endswith("+01:00")
    assert first["says"] == mine[0]["data"]["text"]
    assert {"table": "messages", "id": first["id"]} in first["rows"]
    assert (first["because_of"], first["began_with"]) == (None, None)
    assert failure["because_of"] == {"id": first["id"], "position": 1, "type": "MessageReceived"}


async def test_anything_leads_to_its_conversation(
    programs: Programs, log: list[dict[str, Any]]
) -> None:
    """A booking's id and a reply's id tell the same story as the conversation's."""
    booking = next(e for e in log if e["type"] == "BookingProposed")
    sending = next(e for e in log if e["type"] == "ReplySent")
    story = await told(programs, booking["conversation_id"])
    assert await told(programs, booking["id"]) == story
    assert await told(programs, sending["id"]) == story


async def test_a_person_can_read_it(programs: Programs, log: list[dict[str, Any]]) -> None:
    """On a terminal each event names its cause as `#3 MessageReceived`, and the rows by table."""
    text = (await programs.run("show", log[0]["conversation_id"])).stdout
    assert "Mira Vogt" in text.splitlines()[0]
    assert "because of #1 MessageReceived" in text
    assert "2027-01-09 10:00:00" in text
    assert f"bookings {next(e['id'] for e in log if e['type'] == 'BookingProposed')}" in text
    types = Counter(e["type"] for e in log if e["conversation_id"] == log[0]["conversation_id"])
    assert all(text.count(f"  {name} by ") == count for name, count in types.items())


async def test_a_forgotten_customer_has_a_story_without_words(
    programs: Programs, log: list[dict[str, Any]]
) -> None:
    """What happened is still told, by a customer without a name."""
    forgotten = next(e for e in log if e["type"] == "CustomerForgotten")
    text = (await programs.run("show", forgotten["id"])).stdout
    assert "a customer without a name" in text
    assert "CustomerForgotten by instructor" in text


async def test_nothing_is_told_of_what_is_not_there(programs: Programs) -> None:
    """An unknown id, or none at all, ends with one message."""
    unknown = await programs.run("show", str(uuid4()))
    assert unknown.returncode == 1
    assert "There is no conversation, event, message or booking" in unknown.stderr
    assert (await programs.run("show", "nonsense")).returncode == 2
