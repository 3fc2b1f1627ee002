"""The database's clock as a worker reckons it, so that nobody is taken for dead when it is set."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

TOLERANCE = timedelta(seconds=3)
"""By so much the database's clock and ours may drift apart, slow answers included, in a beat."""

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class DatabaseClock:
    """What the database's clock shows, from what it has shown at the last beats.

    It is `steady` if the database has answered at two beats in a row, and its clock has gone on as
    ours did. Until then whoever lives may not have had the time to renew its claims.
    """

    def __init__(self) -> None:
        self.steady = False
        self._shown = NEVER
        self._at = 0.0

    def showed(self, now: datetime) -> None:
        """At this beat the database's clock shows `now`."""
        self.steady = abs(now - self._reckoned()) < TOLERANCE
        self._shown, self._at = now, time.monotonic()

    def was_away(self) -> None:
        """At this beat the database did not answer."""
        self.steady, self._shown = False, NEVER

    def run_out_by(self) -> datetime:
        """A claim that ended before this moment has a holder that has vanished."""
        return self._reckoned() if self.steady else NEVER

    def _reckoned(self) -> datetime:
        return self._shown + timedelta(seconds=time.monotonic() - self._at)
