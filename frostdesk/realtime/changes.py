"""A committed change of a row, as subscribers get it, and the tables that can be subscribed to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

SCHEMA = "public"
TABLES = ("conversations", "messages", "bookings")

Columns: TypeAlias = Mapping[str, Mapping[str, str]]
"""The columns of each table, in order, with PostgreSQL's names of their types."""

Operation: TypeAlias = Literal["INSERT", "UPDATE", "DELETE"]


class Column(msgspec.Struct, frozen=True):
    """A column and PostgreSQL's name of its type."""

    name: str
    type: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One row's change: `record` is the row since, `old_record` the row before.

    Values are as PostgreSQL's own `to_jsonb` gives them. `commit_timestamp` is UTC.
    """

    schema: str
    table: str
    type: Operation
    commit_timestamp: datetime
    columns: tuple[Column, ...]
    record: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    old_record: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    errors: None = None

    @property
    def row(self) -> dict[str, Any]:
        """What filters look at: the row since, or before it was deleted."""
        rows = (row for row in (self.record, self.old_record) if isinstance(row, dict))
        return next(rows, {})
