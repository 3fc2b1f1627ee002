"""Filters of subscriptions: `column=operator.value`, compared as PostgreSQL would.

Supabase, "Postgres Changes", available filters.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

import msgspec

from frostdesk.errors import RefusedError

VALUES_MOST = 100
"""How many values an `in` may list, as with Supabase."""

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "in": lambda value, wanted: value in wanted,
}


def _bool(text: str) -> bool:
    return {"t": True, "true": True, "f": False, "false": False}[text.lower()]


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _time(text: str) -> time:
    return time.fromisoformat(text).replace(tzinfo=None)  # PostgreSQL, too, ignores a zone here


READERS: dict[str, Callable[[str], Any]] = {
    "int2": int,
    "int4": int,
    "int8": int,
    "bool": _bool,
    "uuid": UUID,
    "date": date.fromisoformat,
    "time": _time,
    "timestamptz": _instant,
}
"""How a value of a type is read from text; a type that is not named here is compared as text."""


class Filter(msgspec.Struct, frozen=True):
    """A condition on one column."""

    column: str
    type: str
    operator: str
    wanted: Any

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Whether the row meets it. What is null meets no condition, as in SQL."""
        value = row.get(self.column)
        if value is None:
            return False
        comparable = _read(value, self.type) if isinstance(value, str) else value
        return OPERATORS[self.operator](comparable, self.wanted)


def read_filter(text: str, columns: Mapping[str, str]) -> Filter:
    """The filter that `text` states, for a table with these columns and their types.

    Raises:
        RefusedError: it cannot be understood; the text says what is wrong with it.
    """
    column, equals, condition = text.partition("=")
    name, dot, value = condition.partition(".")
    if not equals or not dot or name not in OPERATORS:
        raise RefusedError(
            f"the filter {text[:100]!r} has to read `column=operator.value`, "
            f"the operator one of {', '.join(OPERATORS)}"
        )
    if column not in columns:
        raise RefusedError(f"the filter names a column {column[:100]!r}, which there is not")
    try:
        return Filter(column, columns[column], name, _wanted(name, value, columns[column]))
    except (ValueError, KeyError) as error:
        raise RefusedError(
            f"the filter {text[:100]!r} has to compare with a value of type {columns[column]}"
        ) from error


def _wanted(name: str, value: str, type_name: str) -> Any:
    if name != "in":
        return _read(value, type_name)
    if not (value.startswith("(") and value.endswith(")")):
        raise ValueError
    values = value[1:-1].split(",")
    if len(values) > VALUES_MOST:
        raise ValueError
    return frozenset(_read(each.strip(), type_name) for each in values)


def _read(text: str, type_name: str) -> Any:
    return READERS.get(type_name, str)(text)
