"""What must hold after every fault, read from the log, the tables and the customers' phones."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Container, Iterable
from typing import Any
from uuid import UUID

import msgspec

from frostdesk.bookings import replay
from frostdesk.events import EVENT_TYPES, message_id_for
from frostdesk.whatsapp.texts import split_text
from tests.faults.load import Load
from tests.faults.rig import Rig

EVENTS = "SELECT position, id, conversation_id, type, data FROM events ORDER BY position"
OVERLAPPING = """
SELECT a.id FROM bookings a JOIN bookings b
    ON a.id < b.id AND a.instructor_id = b.instructor_id
   AND a.status = 'confirmed' AND b.status = 'confirmed'
   AND tstzrange(a.starts_at, a.ends_at) && tstzrange(b.starts_at, b.ends_at)
"""


class Findings(msgspec.Struct, kw_only=True):
    """What one round has come to. `violations` say what should not be, in a sentence each."""

    accepted: int = 0
    lost: int = 0
    twice: int = 0
    repeated: int = 0
    failed: int = 0
    violations: list[str] = []


class Judge:
    """Looks at everything since the rig began, and tells of each thing once."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._judged = 0
        self._excused: set[str] = set()
        self._told: set[str] = set()
        self._twice: set[str] = set()
        self._sends: dict[str, dict[str, Any]] = {}

    async def judge(
        self, load: Load, *, failures: Iterable[str] = (), unknowable: bool = False
    ) -> Findings:
        """State every invariant.

        `failures` are the stages at which the faults excuse a ReplyFailed; where a send's outcome
        was `unknowable`, a reply may have been sent once more. A status may be late: what the
        faults of the last round excuse is excused as well.
        """
        log = Log(await self._rig.sql(EVENTS), since=self._judged)
        for send in await self._rig.outside.sends():
            self._sends[send["id"]] = send
        found = Findings(accepted=len(load.accepted))
        found.violations += self._rig.complaints
        self._rig.complaints.clear()
        check_received(found, log, load.accepted)
        check_answered(found, log)
        check_failures(found, log, set(failures) | self._excused)
        self._excused = set(failures)
        self._twice |= check_sent(
            found, log, self._sends.values(), known=self._twice, unknowable=unknowable
        )
        await self._bookings(found, log, load)
        await self._tables(found)
        found.violations = [v for v in found.violations if v not in self._told]
        self._told.update(found.violations)
        self._judged = log.head
        return found

    async def _bookings(self, found: Findings, log: Log, load: Load) -> None:
        """Each has the status that its events lead to, and no two confirmed ones overlap."""
        rows = {row["id"]: row for row in await self._rig.sql("SELECT * FROM bookings")}
        states = {
            booking_id: state
            for events in log.lessons.values()
            for booking_id, state in replay(events).items()
        }
        if {i: s.status for i, s in states.items()} != {i: r["status"] for i, r in rows.items()}:
            found.violations.append("bookings stand otherwise than their events say")
        if await self._rig.sql(OVERLAPPING):
            found.violations.append("two confirmed lessons overlap")
        decisions = {"confirmed": ("confirmed", "cancelled"), "cancelled": ("cancelled",)}
        for booking_id, status in load.decided.items():
            row = rows.get(UUID(booking_id))
            if row is None or row["status"] not in decisions[status]:
                found.violations.append(f"booking {booking_id} was {status}, and is so no longer")
        for decision, times in log.announced.items():
            if times > 1:
                found.violations.append(f"decision {decision} was announced {times} times")

    async def _tables(self, found: Findings) -> None:
        """The tables are what the log leads to, and nothing is left to be done."""
        if not await self._rig.is_settled():
            unfinished = await self._rig.sql(
                "SELECT status, count(*) FROM messages GROUP BY 1 ORDER BY 1"
            )
            stand = ", ".join(f"{row['count']} {row['status']}" for row in unfinished)
            found.violations.append(f"something is still to be done: {stand}")
        url = str(self._rig.postgres.url)
        verified = await self._rig.programs.run("rebuild", "--verify", FROSTDESK_DATABASE_URL=url)
        if verified.returncode:
            found.violations.append(f"rebuild --verify: {verified.stdout[-300:]}")


class Log:
    """The events, sorted by what the judge asks about. Of those after `since`, once."""

    def __init__(self, rows: Iterable[Any], *, since: int) -> None:
        self.head = since
        self.received: Counter[str] = Counter()
        self.covered: Counter[UUID] = Counter()
        self.excused: set[UUID] = set()
        self.failures: list[dict[str, Any]] = []
        self.replies: dict[str, str] = {}
        self.outcomes: defaultdict[str, set[str]] = defaultdict(set)
        self.announced: Counter[str] = Counter()
        self.lessons: defaultdict[UUID, list[tuple[UUID, Any]]] = defaultdict(list)
        self.new: list[str] = []
        for row in rows:
            self._sort(row, json.loads(row["data"]), is_new=row["position"] > since)

    def _sort(self, row: Any, data: dict[str, Any], *, is_new: bool) -> None:
        self.head = row["position"]
        answers = [UUID(answer) for answer in data.get("answers", ())]
        if is_new:
            self.new.append(row["type"])
        match row["type"]:
            case "MessageReceived":
                self.received[data["whatsapp_id"]] += 1
            case "ReplyGenerated":
                self.covered.update(answers)
                self.replies[str(row["id"])] = data["text"]
                if "about" in data:
                    self.announced[data["about"]] += 1
            case "ReplyFailed":
                self.excused.update(answers)
                if is_new:
                    self.failures.append(data)
            case "BookingProposed" | "BookingConfirmed" | "BookingCancelled":
                event = msgspec.convert(data, EVENT_TYPES[row["type"]])
                self.lessons[row["conversation_id"]].append((row["id"], event))
        if reply_id := data.get("reply_id"):
            self.outcomes[reply_id].add(row["type"])


def check_received(found: Findings, log: Log, accepted: Iterable[str]) -> None:
    """Every webhook answered 200 is in the log exactly once."""
    missing = [i for i in accepted if log.received[i] == 0]
    found.lost = len(missing)
    if missing:
        found.violations.append(f"lost: {', '.join(missing[:5])}")
    if twice := [i for i, times in log.received.items() if times > 1]:
        found.violations.append(f"twice in the log: {', '.join(twice[:5])}")


def check_answered(found: Findings, log: Log) -> None:
    """Every message has exactly one reply that covers it, or a failure that says why."""
    for whatsapp_id in log.received:
        message_id = message_id_for(whatsapp_id)
        replies = log.covered[message_id]
        if replies > 1:
            found.violations.append(f"{whatsapp_id} was answered by {replies} replies")
        if replies == 0 and message_id not in log.excused:
            found.violations.append(f"{whatsapp_id} has neither a reply nor a failure")


def check_failures(found: Findings, log: Log, excused: set[str]) -> None:
    """What failed says why, and only the faults that were inflicted are reasons."""
    found.failed = len(log.failures)
    for failure in log.failures:
        if failure["stage"] not in excused or len(failure["reason"]) < 10:
            found.violations.append(f"failed at {failure['stage']}: {failure['reason']}")


def check_sent(
    found: Findings,
    log: Log,
    sends: Iterable[dict[str, Any]],
    *,
    known: Container[str] = (),
    unknowable: bool = False,
) -> set[str]:
    """No customer gets a reply twice, save once more where nobody could know, and on record.

    Gives the replies that a customer did get twice, those that are `known` left out.
    """
    twice = set()
    taken = Counter(send["message"].get("biz_opaque_callback_data") for send in sends)
    found.repeated = log.new.count("SendRepeated")
    for reply_id, text in log.replies.items():
        parts, outcomes = len(split_text(text)), log.outcomes[reply_id]
        if taken[reply_id] < parts and "ReplySent" in outcomes:
            found.violations.append(f"reply {reply_id} is recorded as sent, and was not")
        if taken[reply_id] <= parts or reply_id in known:
            continue
        twice.add(reply_id)
        if "SendRepeated" not in outcomes or taken[reply_id] > 2 * parts or not unknowable:
            found.violations.append(
                f"reply {reply_id} of {parts} parts was sent in {taken[reply_id]}:"
                f" {', '.join(sorted(outcomes))}"
            )
    if strange := set(taken) - set(log.replies):
        found.violations.append(f"sent without a record: {strange}")
    found.twice = len(twice)
    return twice
