"""How far work on the log has come: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Protocol

import click

LINE_SECONDS = 3.0


class Work(Protocol):
    """Work whose progress is shown, on standard error: output stays fit for a pipe."""

    def progress(self, share: float, events: int) -> None:
        """Show that this share of the work, from 0 to 1, on so many events is done."""


class Lines:
    """Progress in plain lines: events done, events a second, seconds left."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._started = self._said = time.monotonic()

    def progress(self, share: float, events: int) -> None:
        """Say it, unless something was said a moment ago."""
        now = time.monotonic()
        if now - self._said < LINE_SECONDS or not share:
            return
        self._said = now
        seconds = now - self._started
        click.echo(
            f"{self._doing}: {int(share * events):,} of {events:,} events,"
            f" {int(share * events / seconds):,} events/s,"
            f" {seconds * (1 - share) / share:.0f} s left",
            err=True,
        )


@contextlib.contextmanager
def shown(doing: str) -> Iterator[Work]:
    """Something that shows progress until the context ends."""
    if sys.stderr.isatty():
        with _bar(doing) as bar:
            yield bar
    else:
        yield Lines(doing)


@contextlib.contextmanager
def _bar(doing: str) -> Iterator[Work]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(doing),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} events"),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(doing, total=0, rate=0)
        started = time.monotonic()

        class Bar:
            def progress(self, share: float, events: int) -> None:
                rate = share * events / max(time.monotonic() - started, 1e-3)
                progress.update(task, completed=share * events, total=events, rate=rate)

        yield Bar()
