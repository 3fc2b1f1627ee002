"""Filters mean what they mean in PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from frostdesk.errors import RefusedError
from frostdesk.realtime.filters import read_filter
from tests.realtime.columns import COLUMNS

ROW: dict[str, Any] = {
    "id": "40c4cac2-ae61-51aa-92a2-5315f55364f9",
    "content": "a=b.c, (d)",
    "version": 10,
    "disclosure": True,
    "created_at": "2027-01-15T10:00:00.5+00:00",
    "date": "2027-01-15",
    "time": "09:30:00",
}


@pytest.mark.parametrize(
    "text",
    [
        "id=eq.40C4CAC2-AE61-51AA-92A2-5315F55364F9",
        "content=eq.a=b.c, (d)",
        "content=neq.a",
        "version=gt.9",
        "version=gte.10",
        "version=lt.11",
        "version=lte.10",
        "version=in.(9, 10,11)",
        "disclosure=eq.true",
        "created_at=gt.2027-01-15T11:00:00+01:00",
        "created_at=lt.2027-01-15 10:00:01",
        "date=in.(2027-01-15)",
        "time=eq.09:30",
        "time=lt.09:31+02:00",
    ],
)
def test_what_fits_is_heard(text: str) -> None:
    """Values are compared by the column's type, and not as texts."""
    assert read_filter(text, COLUMNS).matches(ROW)


@pytest.mark.parametrize(
    "text", ["version=eq.9", "version=in.()", "content=in.(x,y)", "id=neq." + ROW["id"]]
)
def test_what_does_not_fit_is_not_heard(text: str) -> None:
    """Another value is no match; neither is an empty list."""
    if text == "version=in.()":
        with pytest.raises(RefusedError):
            read_filter(text, COLUMNS)
    else:
        assert not read_filter(text, COLUMNS).matches(ROW)


@pytest.mark.parametrize("text", ["content=eq.", "content=neq.x", "content=in.(x)"])
def test_null_fits_nothing(text: str) -> None:
    """As in SQL, a comparison with null is not true, not even that of being different."""
    assert not read_filter(text, COLUMNS).matches(ROW | {"content": None})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("version", "has to read"),
        ("version=10", "has to read"),
        ("version=like.1%", "one of eq, neq"),
        ("nothing=eq.1", "a column 'nothing'"),
        ("version=eq.ten", "type int4"),
        ("id=eq.7", "type uuid"),
        ("disclosure=eq.maybe", "type bool"),
        ("created_at=eq.soon", "type timestamptz"),
        ("version=in.1,2", "type int4"),
        ("version=in.(" + ",".join(map(str, range(101))) + ")", "type int4"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, reason: str) -> None:
    """The refusal says what is wrong with the filter."""
    with pytest.raises(RefusedError, match=reason):
        read_filter(text, COLUMNS)
