"""What a channel wants to hear of: the `postgres_changes` of its join."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from frostdesk.errors import RefusedError
from frostdesk.realtime.changes import SCHEMA, TABLES, Change, Columns
from frostdesk.realtime.filters import Filter, read_filter

EVENTS = ("*", "INSERT", "UPDATE", "DELETE")
BINDINGS_MOST = 100


class Binding(msgspec.Struct, frozen=True):
    """One wish. `id` is what the client knows its callback by, in every change that it gets."""

    id: int
    event: str
    tables: tuple[str, ...]
    filter: Filter | None

    def wants(self, change: Change) -> bool:
        """Whether the change is one that was wished for."""
        return (
            change.table in self.tables
            and self.event in ("*", change.type)
            and (self.filter is None or self.filter.matches(change.row))
        )


class _Wish(msgspec.Struct, frozen=True):
    event: str = "*"
    schema: str = SCHEMA
    table: str | None = None
    filter: str | None = None


class _Config(msgspec.Struct, frozen=True):
    postgres_changes: list[dict[str, Any] | None] | None = None


class _Join(msgspec.Struct, frozen=True):
    config: _Config | None = None


def read_wishes(payload: dict[str, Any]) -> list[dict[str, Any]]:
    """The subscriptions that a join asks for, as the client wrote them.

    Raises:
        RefusedError: the join has another shape.
    """
    try:
        config = msgspec.convert(payload, _Join).config or _Config()
    except msgspec.ValidationError as error:
        raise RefusedError(f"The join has another shape than Realtime's: {error}.") from error
    wishes = [wish for wish in config.postgres_changes or () if wish is not None]
    if len(wishes) > BINDINGS_MOST:
        raise RefusedError(f"A channel can have {BINDINGS_MOST} subscriptions, not {len(wishes)}.")
    return wishes


def bind(wishes: Sequence[dict[str, Any]], columns: Columns) -> tuple[Binding, ...]:
    """The bindings to these wishes, numbered from 1.

    Raises:
        RefusedError: one of them cannot be had; the text says which and why.
    """
    return tuple(_bind(number, wish, columns) for number, wish in enumerate(wishes, start=1))


def confirmed(
    wishes: Sequence[dict[str, Any]], bindings: Sequence[Binding]
) -> list[dict[str, Any]]:
    """The wishes to the letter, as clients compare them, each with the id that it got."""
    return [{**wish, "id": b.id} for wish, b in zip(wishes, bindings, strict=True)]


def _bind(number: int, raw: dict[str, Any], columns: Columns) -> Binding:
    try:
        wish = msgspec.convert(raw, _Wish)
        tables = _tables(wish)
        condition = read_filter(wish.filter, columns.get(tables[0], {})) if wish.filter else None
    except (msgspec.ValidationError, RefusedError) as error:
        raise RefusedError(
            f"Unable to subscribe to changes with given parameters: {error}."
        ) from error
    return Binding(number, wish.event, tables, condition)


def _tables(wish: _Wish) -> tuple[str, ...]:
    if wish.event not in EVENTS:
        raise RefusedError(f"the event has to be one of {', '.join(EVENTS)}")
    if wish.schema not in ("*", SCHEMA):
        raise RefusedError(f"the schema has to be {SCHEMA}")
    if wish.table in (None, "", "*"):
        if wish.filter:
            raise RefusedError("a filter needs a table")
        return TABLES
    if wish.table not in TABLES:
        raise RefusedError(f"the table has to be one of {', '.join(TABLES)}")
    return (wish.table,)
