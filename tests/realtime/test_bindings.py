"""What a join asks for, and what it gets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from frostdesk.errors import RefusedError
from frostdesk.realtime.bindings import bind, confirmed, read_wishes
from frostdesk.realtime.changes import Change, Operation

COLUMNS = {"messages": {"content": "text"}, "conversations": {}, "bookings": {}}


def change(table: str, kind: Operation = "INSERT") -> Change:
    """A change of some row."""
    return Change(
        schema="public",
        table=table,
        type=kind,
        commit_timestamp=datetime.now(UTC),
        columns=(),
        record={"content": "hello"},
    )


def heard(wish: dict[str, Any], *changes: Change) -> list[bool]:
    """Whether each change is heard by whoever has this wish."""
    (binding,) = bind([wish], COLUMNS)
    return [binding.wants(c) for c in changes]


def test_wishes_come_back_to_the_letter_with_an_id() -> None:
    """Clients compare the answer with what they asked for, and count ids from what is not zero."""
    wishes = read_wishes(
        {"config": {"postgres_changes": [{"event": "*", "schema": "public", "extra": 1}, None]}}
    )
    assert confirmed(wishes, bind(wishes, COLUMNS)) == [
        {"event": "*", "schema": "public", "extra": 1, "id": 1}
    ]


@pytest.mark.parametrize("table", [None, "*", ""])
def test_without_a_table_all_three_are_heard(table: str | None) -> None:
    """Any way of naming no table means every table."""
    assert heard({"table": table}, change("messages"), change("bookings")) == [True, True]


def test_only_the_wished_for_is_heard() -> None:
    """Table and event have to fit."""
    wish = {"event": "DELETE", "table": "messages"}
    changes = (change("messages"), change("bookings", "DELETE"), change("messages", "DELETE"))
    assert heard(wish, *changes) == [False, False, True]


@pytest.mark.parametrize("payload", [{}, {"config": {}}, {"config": {"postgres_changes": []}}])
def test_a_join_may_ask_for_nothing(payload: dict[str, Any]) -> None:
    """A channel without subscriptions is fine."""
    assert read_wishes(payload) == []


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"table": "events"}, "one of conversations, messages, bookings"),
        ({"table": "identities"}, "one of conversations, messages, bookings"),
        ({"schema": "pg_catalog"}, "schema has to be public"),
        ({"event": "insert"}, "event has to be one of"),
        ({"table": 7}, "table"),
        ({"filter": "content=eq.x"}, "a filter needs a table"),
        ({"table": "messages", "filter": "secret=eq.x"}, "secret"),
    ],
)
def test_what_cannot_be_had_is_refused(wish: dict[str, Any], reason: str) -> None:
    """Other tables, schemas, events and shapes are refused, with the reason."""
    with pytest.raises(RefusedError, match=reason):
        bind([wish], COLUMNS)


@pytest.mark.parametrize(
    "payload",
    [{"config": []}, {"config": {"postgres_changes": {}}}, {"config": {"postgres_changes": [1]}}],
)
def test_a_join_of_another_shape_is_refused(payload: dict[str, Any]) -> None:
    """What is no list of subscriptions is refused."""
    with pytest.raises(RefusedError, match="another shape"):
        read_wishes(payload)


def test_a_channel_has_a_limit() -> None:
    """More subscriptions than a hundred are refused."""
    with pytest.raises(RefusedError, match="100"):
        read_wishes({"config": {"postgres_changes": [{}] * 101}})
