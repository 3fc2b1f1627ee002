"""What was measured, as lines of a table."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

WIDTH = 56


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """One number: what of, its unit, and the most that it ought to be, where there is such.

    `beside` are numbers that it was made of.
    """

    name: str
    value: float
    unit: str
    at_most: float | None = None
    beside: dict[str, float] = {}

    def as_text(self) -> str:
        """A line of the table."""
        line = f"  {self.name:{WIDTH}} {_number(self.value):>10} {self.unit:3}"
        if self.at_most is not None:
            verdict = "at most" if self.value <= self.at_most else "NOT at most"
            line += f" ({verdict} {self.at_most:g})"
        beside = ", ".join(f"{name} {_number(value)}" for name, value in self.beside.items())
        return f"{line}  {beside}".rstrip()


def times(name: str, seconds: Sequence[float], *shares: float) -> list[Figure]:
    """Percentiles of durations, in milliseconds: the median and the 99th unless said otherwise."""
    return [
        Figure(f"{name}, p{share * 100:g}", percentile(seconds, share) * 1000, "ms")
        for share in shares or (0.5, 0.99)
    ]


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _number(value: float) -> str:
    digits = 0 if abs(value) >= 100 or value == int(value) else 2
    return f"{value:,.{digits}f}"
