"""Events of every shape that their data has ever had, read as the present one.

A new shape of a type takes six small steps: the struct's `schema_version` goes up by one; the
function from the shape before is entered in UPCASTERS; the same stands as a branch of
`current_data` in schema.sql, for projections; queries of the service that look at a field that has
changed (`grep -rn "data ->" frostdesk`) ask `current_data` for it; `tests/logs/` gets a stored log
of the new version; and the tests show that both sides read every stored log alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec

from frostdesk.errors import FrostDeskError
from frostdesk.events import EVENT_TYPES, Event

Data: TypeAlias = dict[str, Any]
Upcaster: TypeAlias = Callable[[Data], Data]

UPCASTERS: Mapping[tuple[str, int], Upcaster] = MappingProxyType({})
"""By type and version: a pure function from that version's data to the next one's."""


class UnknownEventError(FrostDeskError):
    """An event that a newer FrostDesk has written."""


def upcast(
    event_type: str,
    schema_version: int,
    data: Data,
    *,
    upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS,
) -> Data:
    """The data of an event in its type's present shape. Data of that shape is returned as it is."""
    while step := upcasters.get((event_type, schema_version)):
        data, schema_version = step(data), schema_version + 1
    return data


def read_event(event_type: str, schema_version: int, data: Data) -> Event:
    """The event that was stored as `data`, whatever version it was stored in.

    Raises:
        UnknownEventError: a newer FrostDesk wrote it.
        msgspec.ValidationError: the data is none of this type.
    """
    kind = known_type(event_type, schema_version)
    return msgspec.convert(upcast(event_type, schema_version, data), kind, strict=True)


def known_type(event_type: str, schema_version: int) -> type[Event]:
    """The type that an event of this name and version is read as.

    Raises:
        UnknownEventError: a newer FrostDesk wrote it.
    """
    kind = EVENT_TYPES.get(event_type)
    if kind is None or schema_version > kind.schema_version:
        what = f"{event_type} of version {schema_version}" if kind else f"type {event_type}"
        raise UnknownEventError(f"Events of {what} are unknown here: upgrade FrostDesk.")
    return kind
