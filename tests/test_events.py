"""The vocabulary: ids that follow from their cause."""

from __future__ import annotations

from uuid import UUID, uuid5

from frostdesk.events import NAMESPACE, derive_id


def test_an_id_is_a_uuid5_of_what_caused_it() -> None:
    """As everybody else computes it, whatever the cause's characters; ids in old logs stay good."""
    for cause in ("wamid.1", "", "Gr\u00fcezi \N{SNOWMAN}"):
        assert derive_id("message", cause) == uuid5(NAMESPACE, f"message:{cause}")
    assert derive_id("reply", UUID(int=1), 2) == uuid5(NAMESPACE, f"reply:{UUID(int=1)}:2")
    assert derive_id("desk").version == 5
