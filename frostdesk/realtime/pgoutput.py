"""PostgreSQL's logical replication messages, decoded into changes.

PostgreSQL manual, "Logical Replication Message Formats", protocol version 1: every message of one
transaction, then every message of the next, in the order of their commits.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import msgspec

from frostdesk.errors import TryAgainError
from frostdesk.realtime.changes import SCHEMA, TABLES, Change, Column, Columns, Operation

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""PostgreSQL counts microseconds from here."""

_UNCHANGED = object()
"""A long value that an update left alone, and that is therefore not in its new row."""

Values: TypeAlias = list[Any]


class _Relation(msgspec.Struct, frozen=True):
    """A table as the messages after this one describe its rows. `known`: in the old row."""

    schema: str
    table: str
    columns: tuple[Column, ...]
    known: tuple[bool, ...]


class Decoder:
    """Turns messages into changes, in their order.

    It remembers what earlier messages said about tables and about the transaction.
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._relations: dict[int, _Relation] = {}
        self._committed_at = EPOCH

    def decode(self, message: bytes) -> Change | None:
        """The change that the message tells of, if it tells of one that can be subscribed to.

        Raises:
            TryAgainError: a table was emptied as a whole, which no row's change tells.
        """
        fields = _Fields(message)
        match fields.text(1):
            case "B":
                self._committed_at = EPOCH + timedelta(microseconds=fields.number("!8xq4x"))
            case "R":
                relation_id = fields.number("!I")
                self._relations[relation_id] = self._relation(fields)
            case "I" | "U" | "D" as kind:
                return self._change(kind, fields)
            case "T":
                raise TryAgainError("A table was emptied as a whole: read it anew.")
        return None

    def _relation(self, fields: _Fields) -> _Relation:
        schema, table, _ = fields.string(), fields.string(), fields.text(1)
        types = self._columns.get(table, {})
        columns, known = [], []
        for _ in range(fields.number("!H")):
            known.append(bool(fields.number("!B")))
            name = fields.string()
            fields.number("!I4x")
            columns.append(Column(name, types.get(name, "text")))
        return _Relation(schema, table, tuple(columns), tuple(known))

    def _change(self, kind: str, fields: _Fields) -> Change | None:
        relation = self._relations[fields.number("!I")]
        if relation.schema != SCHEMA or relation.table not in TABLES:
            return None
        rows = dict(fields.rows())
        old = next((rows[mark] for mark in ("O", "K") if mark in rows), None)
        operations: dict[str, Operation] = {"I": "INSERT", "U": "UPDATE", "D": "DELETE"}
        return Change(
            schema=relation.schema,
            table=relation.table,
            type=operations[kind],
            commit_timestamp=self._committed_at,
            columns=relation.columns,
            record=msgspec.UNSET if kind == "D" else _new_record(relation, rows["N"], old),
            old_record=msgspec.UNSET if kind == "I" else _old_record(relation, old or []),
        )


def _new_record(relation: _Relation, new: Values, old: Values | None) -> dict[str, Any]:
    before = old or new
    merged = [b if n is _UNCHANGED else n for n, b in zip(new, before, strict=True)]
    return _record(relation.columns, merged)


def _old_record(relation: _Relation, old: Values) -> dict[str, Any]:
    """The row before: as much of it as the table's replica identity lets PostgreSQL tell."""
    known = [
        pair for pair, is_known in zip(relation.columns, relation.known, strict=True) if is_known
    ]
    values = [value for value, is_known in zip(old, relation.known, strict=False) if is_known]
    return _record(known, values)


def _record(columns: Any, values: Values) -> dict[str, Any]:
    return {
        column.name: _READERS.get(column.type, str)(value) if value is not None else None
        for column, value in zip(columns, values, strict=False)
        if value is not _UNCHANGED
    }


def _instant(text: str) -> str:
    """A time as JSON has it; the session's zone is UTC, which PostgreSQL writes as `+00`."""
    return text.replace(" ", "T") + ":00"


_READERS: dict[str, Callable[[str], Any]] = {
    "int2": int,
    "int4": int,
    "int8": int,
    "bool": lambda text: text == "t",
    "timestamptz": _instant,
    "json": msgspec.json.decode,
    "jsonb": msgspec.json.decode,
}


class _Fields:
    """A message's fields, read one after the other."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._at = 0

    def number(self, layout: str) -> int:
        """The number in the next bytes; `layout` is struct's, and may skip others."""
        (number,) = struct.unpack_from(layout, self._message, self._at)
        self._at += struct.calcsize(layout)
        return int(number)

    def text(self, length: int) -> str:
        start, self._at = self._at, self._at + length
        return self._message[start : self._at].decode()

    def string(self) -> str:
        """Text up to a zero byte."""
        text = self.text(self._message.index(0, self._at) - self._at)
        self._at += 1
        return text

    def rows(self) -> Iterator[tuple[str, Values]]:
        """The rows: N is the new one, O the old one, K the old one's key."""
        while self._at < len(self._message):
            yield self.text(1), [self._value() for _ in range(self.number("!H"))]

    def _value(self) -> Any:
        match self.text(1):
            case "n":
                return None
            case "u":
                return _UNCHANGED
            case _:
                return self.text(self.number("!I"))
