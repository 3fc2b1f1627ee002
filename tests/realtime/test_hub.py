"""Why changes cannot be followed, in words that say what to do."""

from __future__ import annotations

import asyncpg
import pytest

from frostdesk.errors import TryAgainError
from frostdesk.realtime.hub import AWAY, why


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (asyncpg.ObjectNotInPrerequisiteStateError("logical decoding"), "wal_level = logical"),
        (asyncpg.InsufficientPrivilegeError("permission denied"), "REPLICATION"),
        (asyncpg.ConfigurationLimitExceededError("all slots"), "max_replication_slots"),
        (asyncpg.TooManyConnectionsError("sorry"), "max_wal_senders"),
        (asyncpg.ProtocolViolationError("unsupported startup parameter"), "pooler"),
        (asyncpg.PostgresSyntaxError("at CREATE_REPLICATION_SLOT"), "pooler"),
        (asyncpg.AdminShutdownError("terminating"), AWAY),
        (ConnectionRefusedError(111), AWAY),
        (EOFError(), AWAY),
        (TryAgainError("A table was emptied."), "A table was emptied."),
        (ValueError("something new"), "something new"),
    ],
)
def test_the_reason_says_what_to_do(error: Exception, text: str) -> None:
    """Every known obstacle is named with its remedy; the rest passes, or speaks for itself."""
    assert text in why(error)
