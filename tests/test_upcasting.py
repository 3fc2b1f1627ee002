"""Events of every version that ever was are read as the present one, here and by projections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from frostdesk.events import EVENT_TYPES
from frostdesk.store.database import Pool
from frostdesk.upcasting import UPCASTERS, UnknownEventError, read_event, upcast
from tests.logs import LOGS, NEWEST, bring_in, log_in, rows_in, stored

every_log = pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)


def _split(data: dict[str, Any]) -> dict[str, Any]:
    first, last = data["name"].split()
    return {"first": first, "last": last}


def _shout(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value.upper() for key, value in data.items()}


def test_one_version_leads_to_the_next() -> None:
    """Old data goes through every step from its own version on, and is itself left alone."""
    steps = {("Named", 1): _split, ("Named", 2): _shout}
    oldest = {"name": "Mira Vogt"}
    assert upcast("Named", 1, oldest, upcasters=steps) == {"first": "MIRA", "last": "VOGT"}
    assert upcast("Named", 2, {"first": "Mira"}, upcasters=steps) == {"first": "MIRA"}
    assert upcast("Named", 3, {"first": "Mira"}, upcasters=steps) == {"first": "Mira"}
    assert upcast("Other", 1, oldest, upcasters=steps) is oldest
    assert oldest == {"name": "Mira Vogt"}


def test_every_older_version_has_its_upcaster() -> None:
    """From each version below a type's present one there is a step upwards, and no other step."""
    older = {(n, v) for n, kind in EVENT_TYPES.items() for v in range(1, kind.schema_version)}
    assert set(UPCASTERS) == older


def test_there_is_a_stored_log_of_every_version() -> None:
    """Every type stands in the stored logs in each of its versions."""
    found = {(e["type"], e["schema_version"]) for log in LOGS for e in stored(log)}
    ever = {(n, v) for n, kind in EVENT_TYPES.items() for v in range(1, kind.schema_version + 1)}
    assert found == ever


@every_log
def test_every_stored_event_is_read_as_it_is_written_today(log: Path) -> None:
    """What is read from a stored log and written again is its data in the present shape."""
    for event in stored(log):
        name, version, data = event["type"], event["schema_version"], event["data"]
        read = read_event(name, version, data)
        assert type(read) is EVENT_TYPES[name]
        assert msgspec.to_builtins(read) == msgspec.to_builtins(
            msgspec.convert(upcast(name, version, data), EVENT_TYPES[name])
        )


@every_log
async def test_projections_read_what_python_reads(log: Path, pool: Pool, database_url: str) -> None:
    """`current_data` in the database gives the data that the upcasters give, event by event."""
    await bring_in(database_url, log)
    rows = await pool.fetch(
        "SELECT type, schema_version, data, current_data(type, schema_version, data) AS now"
        " FROM events ORDER BY position"
    )
    assert rows
    for row in rows:
        data = msgspec.json.decode(row["data"])
        expected = upcast(row["type"], row["schema_version"], data)
        assert msgspec.json.decode(row["now"]) == expected


@every_log
async def test_a_stored_log_is_replayed(log: Path, pool: Pool, database_url: str) -> None:
    """A log of any version fills the tables, to the same rows as the newest one's events do."""
    await bring_in(database_url, log)
    assert len(await log_in(pool)) == len(stored(log))
    rows = await rows_in(pool)
    assert {m["status"] for m in rows["messages"]} >= {"answered", "sent", "deleted", "forgotten"}
    assert [b["status"] for b in rows["bookings"]] == ["cancelled"]
    assert rows["identities"]


@pytest.mark.parametrize(("name", "version"), [("ReplySent", 99), ("ReplyImagined", 1)])
def test_a_newer_event_is_refused(name: str, version: int) -> None:
    """An event of a newer FrostDesk is an error that names it and says what to do."""
    with pytest.raises(UnknownEventError, match=rf"{name}.*upgrade FrostDesk"):
        read_event(name, version, {})


def test_the_newest_log_is_of_the_newest_versions() -> None:
    """The log that other tests begin with has only present shapes."""
    assert all(e["schema_version"] == EVENT_TYPES[e["type"]].schema_version for e in stored(NEWEST))
