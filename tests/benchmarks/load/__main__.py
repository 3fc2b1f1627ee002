"""`python -m tests.benchmarks.load`: every figure, or those of some parts, as a table."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import click
import msgspec
import uvloop

from tests.benchmarks.load import accept, answer, drain, growth, idle, trips
from tests.benchmarks.load.figures import Figure

PART_SECONDS = 240.0
FILLED_A_SECOND = 5_000
"""Events of the long log, at the least."""

Part = Callable[[], Awaitable[list[Figure]]]
PARTS: dict[str, Part] = {
    "accept": accept.measure,
    "answer": answer.measure,
    "drain": drain.measure,
    "trips": trips.measure,
    "idle": idle.measure,
}


@click.command()
@click.option("--only", metavar="PARTS", help=f"Some of {','.join(PARTS)},growth.")
@click.option("--events", default=1_000_000, show_default=True, help="Length of the long log.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a figure.")
def main(*, only: str | None, events: int, as_json: bool) -> None:
    """Measure on servers that are thrown away. Takes some three minutes; Ctrl-C stops all of it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing is left running
    parts = PARTS | {"growth": partial(growth.measure, events)}
    chosen = only.split(",") if only else list(parts)
    if unknown := set(chosen) - {*parts}:
        raise click.BadParameter(f"there is no {', '.join(sorted(unknown))}", param_hint="--only")
    try:
        seconds = PART_SECONDS + events / FILLED_A_SECOND
        uvloop.run(_run({name: parts[name] for name in chosen}, seconds, as_json=as_json))
    except KeyboardInterrupt:
        sys.exit(130)


async def _run(parts: dict[str, Part], seconds: float, *, as_json: bool) -> None:
    for name, measure in parts.items():
        async with asyncio.timeout(seconds):
            figures = await measure()
        if not as_json:
            click.echo(name)
        for figure in figures:
            click.echo(_document(name, figure) if as_json else figure.as_text())


def _document(part: str, figure: Figure) -> str:
    return msgspec.json.encode({"part": part} | msgspec.to_builtins(figure)).decode()


if __name__ == "__main__":
    main()
