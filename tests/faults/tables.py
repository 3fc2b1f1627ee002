"""The table of what was inflicted and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tests.faults.rounds import Round


class Row(msgspec.Struct, kw_only=True):
    """One fault, or one combination, over all rounds."""

    fault: str
    times: int = 0
    accepted: int = 0
    lost: int = 0
    twice: int = 0
    repeated: int = 0
    failed: int = 0
    longest_recovery: float = 0.0
    violations: list[str] = []


HEADS = ("times", "accepted", "lost", "twice", "repeated", "failed", "longest recovery")


def summarize(rounds: Sequence[Round]) -> list[Row]:
    """A row for each fault, in the order in which they first came."""
    rows: dict[str, Row] = {}
    for played in rounds:
        row = rows.setdefault(played.name, Row(fault=played.name))
        row.times += 1
        row.longest_recovery = round(max(row.longest_recovery, played.recovery), 1)
        for name in ("accepted", "lost", "twice", "repeated", "failed"):
            setattr(row, name, getattr(row, name) + getattr(played.findings, name))
        row.violations = row.violations + played.findings.violations
    return list(rows.values())


def as_text(rows: Sequence[Row]) -> str:
    """The table in columns, and below it every violation."""
    width = max(len(row.fault) for row in rows)
    lines = [f"{'fault':{width}}  {'  '.join(HEADS)}"]
    lines += [f"{row.fault:{width}}  {_numbers(row)}" for row in rows]
    lines += [f"VIOLATION {row.fault}: {said}" for row in rows for said in row.violations]
    return "\n".join(lines)


def _numbers(row: Row) -> str:
    values = [row.times, row.accepted, row.lost, row.twice, row.repeated, row.failed]
    shown = [f"{value:{len(head)}}" for head, value in zip(HEADS, values, strict=False)]
    return "  ".join([*shown, f"{row.longest_recovery:{len(HEADS[-1]) - 2}.1f} s"])
