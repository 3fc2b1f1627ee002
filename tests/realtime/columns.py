"""A table's columns and their types, one of every kind that filters know."""

from __future__ import annotations

COLUMNS = {
    "id": "uuid",
    "content": "text",
    "version": "int4",
    "disclosure": "bool",
    "created_at": "timestamptz",
    "date": "date",
    "time": "time",
}
