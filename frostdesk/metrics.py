"""What the log says in numbers, for Prometheus: each event counted once, from the start on.

Workers serve no HTTP. What they do stands in the log, so that is where their numbers are read, all
workers' together, and only what has come since the last reading. Every API process therefore counts
the same: of several, take one (`max`), not the sum.
"""

from __future__ import annotations

import asyncio
import re
from datetime import datetime

import asyncpg
from prometheus_client import CollectorRegistry, Counter, Histogram

from frostdesk.store.database import Pool
from frostdesk.store.reading import position_before

PAGE = 5_000
PAGES = 20
"""More than 100,000 events since the last reading are counted by the next one."""

SECONDS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)
PATIENCE_SECONDS = (0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 900, 3600)

NEW = """
SELECT e.position, e.type, e.data ->> 'stage' AS stage, e.data ->> 'reason' AS reason,
       (e.data ->> 'seconds')::float8 AS seconds, (e.data ->> 'calls')::int AS calls,
       (e.data ->> 'input_tokens')::int AS input_tokens,
       (e.data ->> 'output_tokens')::int AS output_tokens,
       extract(epoch FROM e.recorded_at - asked.recorded_at)::float8 AS waited
  FROM events e
  -- What a reply's chain began with is the first message that it answers.
  LEFT JOIN events asked ON asked.id = e.correlation_id AND asked.type = 'MessageReceived'
                        AND e.type = 'ReplyGenerated'
 WHERE e.position > $1
 ORDER BY e.position
 LIMIT $2
"""

_CODE = re.compile(r"\banswered (\d{3})\b(?:: error (\d{1,7})\b)?")
_KINDS = {
    "has not answered": "timeout",
    "24-hour window": "window",
    "no JSON or holds no choice": "unreadable",
    "out of date": "overtaken",
    "outcome unknown": "unknown outcome",
    "could not be reached": "connection",
    "connection": "connection",
}


def kind_of(reason: str) -> str:
    """The kind of a failure, of a few words: the other side's error code, its status, or a word."""
    if found := _CODE.search(reason):
        return found[2] or found[1]
    return next((kind for words, kind in _KINDS.items() if words in reason), "other")


class LogMetrics:
    """Counters in `registry` that follow the log from the moment `since` (aware) on."""

    def __init__(self, registry: CollectorRegistry, *, since: datetime) -> None:
        self._since = since
        self._position: int | None = None
        self._reading = asyncio.Lock()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"frostdesk_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...] = SECONDS) -> Histogram:
            return Histogram(f"frostdesk_{name}", text, buckets=buckets, registry=registry)

        self._events = counter("events", "Events appended to the log.", "type")
        self._calls = counter("model_calls", "Requests to the model that replies took.")
        self._tokens = counter("model_tokens", "Tokens that replies took.", "direction")
        self._model = histogram("model_seconds", "Making a reply, with all tries and waits.")
        self._whatsapp = histogram("whatsapp_seconds", "Sending a reply, with all tries and waits.")
        self._answer = histogram(
            "answer_seconds", "From a customer's message until its reply is made.", PATIENCE_SECONDS
        )
        self._model_errors = counter("model_errors", "Replies that could not be made.", "kind")
        self._whatsapp_errors = counter(
            "whatsapp_errors", "Replies not sent or not delivered, and sends in doubt.", "kind"
        )
        self._failures = counter("failures", "Messages left to the instructor.", "stage")
        self._limited = counter("limited", "How often a limit of model calls bit.", "limit")

    async def read(self, pool: Pool) -> None:
        """Count what has been appended since the last time.

        Raises one of `LOST` if the database is away; then the next time counts it.
        """
        async with self._reading:
            if self._position is None:
                self._position = await position_before(pool, self._since)
            for _ in range(PAGES):
                rows = await pool.fetch(NEW, self._position, PAGE)
                for row in rows:
                    self._count(row)
                    self._position = row["position"]
                if len(rows) < PAGE:
                    return

    def _count(self, row: asyncpg.Record) -> None:
        self._events.labels(row["type"]).inc()
        match row["type"]:
            case "ReplyGenerated":
                self._count_reply(row)
            case "ReplySent" if row["seconds"]:
                self._whatsapp.observe(row["seconds"])
            case "SendUncertain":
                self._whatsapp_errors.labels("unknown outcome").inc()
            case "AnswerDeferred":
                self._limited.labels("customer").inc()
            case "ReplyFailed":
                self._count_failure(row["stage"], row["reason"])

    def _count_reply(self, row: asyncpg.Record) -> None:
        if row["waited"] is not None:
            self._answer.observe(max(0.0, row["waited"]))
        if row["seconds"]:
            self._model.observe(row["seconds"])
        self._calls.inc(row["calls"] or 0)
        self._tokens.labels("input").inc(row["input_tokens"] or 0)
        self._tokens.labels("output").inc(row["output_tokens"] or 0)

    def _count_failure(self, stage: str, reason: str) -> None:
        self._failures.labels(stage).inc()
        match stage:
            case "model":
                self._model_errors.labels(kind_of(reason)).inc()
            case "send" | "delivery":
                self._whatsapp_errors.labels(kind_of(reason)).inc()
            case "limit":
                self._limited.labels("day").inc()
