"""Frames in both versions of the protocol."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostdesk.errors import RefusedError
from frostdesk.realtime.frames import VERSIONS, Frame, decode, encode, ended, reply, system

JOIN = Frame(topic="realtime:desk", event="phx_join", payload={"a": 1}, ref="2", join_ref="1")


def test_the_two_versions_look_as_the_protocol_says() -> None:
    """Version 1.0.0 is an object, version 2.0.0 an array in the order of Phoenix."""
    assert json.loads(encode(JOIN, "1.0.0")) == {
        "topic": "realtime:desk",
        "event": "phx_join",
        "payload": {"a": 1},
        "ref": "2",
        "join_ref": "1",
    }
    assert json.loads(encode(JOIN, "2.0.0")) == ["1", "2", "realtime:desk", "phx_join", {"a": 1}]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_encoded_is_decoded(version: str) -> None:
    """A frame comes back as it was."""
    assert decode(encode(JOIN, version), version) == JOIN


def test_answers_carry_the_refs_of_what_they_answer() -> None:
    """A reply has the ref of the push, an end that of the join, news have none, but say null."""
    assert reply(JOIN, "ok", {}).ref == "2"
    assert reply(JOIN, "ok", {}).join_ref == "1"
    assert ended("realtime:desk", "phx_error", "1").ref == "1"
    news = json.loads(encode(system("realtime:desk", "ok", "Hello"), "1.0.0"))
    assert news["ref"] is None
    assert news["payload"]["channel"] == "desk"


@pytest.mark.parametrize("version", VERSIONS)
@given(
    text=st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)
)
def test_anything_else_is_refused(version: str, text: str) -> None:
    """Whatever is no frame is refused, and nothing else happens."""
    try:
        decode(text, version)
    except RefusedError as error:
        assert version in str(error)  # noqa: PT017  # what is a frame by chance is fine


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "[]", "{}", '{"topic":"\\ud800","event":1}']
)
def test_malformed_frames_are_refused(version: str, text: str) -> None:
    """Broken, endless and empty frames are refused."""
    with pytest.raises(RefusedError, match="no frame"):
        decode(text, version)
