"""`python -m tests.faults`: every fault and random combinations, or a long run that finds leaks."""

from __future__ import annotations

import asyncio
import random
import secrets
import signal
import sys
import time

import click
import msgspec

from tests.faults.faults import named, possible
from tests.faults.judge import Judge
from tests.faults.rig import running_rig
from tests.faults.rounds import Round, combinations, play
from tests.faults.soak import soak
from tests.faults.tables import Row, as_text, summarize


@click.command()
@click.option("--seed", type=int, help="Repeats the combinations and the load of an earlier run.")
@click.option("--rounds", default=3, show_default=True, help="How often each fault comes.")
@click.option(
    "--combinations", "drawn", default=10, show_default=True, help="Random ones, at the end."
)
@click.option("--only", multiple=True, metavar="WORD", help="Only faults with this in their name.")
@click.option("--rate", default=6.0, show_default=True, help="Messages a second.")
@click.option("--soak", "minutes", type=float, help="Look for leaks for so many minutes instead.")
@click.option("--json", "as_json", is_flag=True, help="The table as JSON.")
def main(  # noqa: PLR0913  # one argument an option
    *,
    seed: int | None,
    rounds: int,
    drawn: int,
    only: tuple[str, ...],
    rate: float,
    minutes: float | None,
    as_json: bool,
) -> None:
    """Break a running FrostDesk on purpose. Ends with status 1 if anything was not survived."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing is left running
    seed = secrets.randbelow(10**6) if seed is None else seed
    chance = random.Random(seed)  # noqa: S311  # to be repeated, not to be secret
    click.echo(f"seed {seed}", err=True)
    if minutes is not None:
        violations = asyncio.run(soak(minutes, chance=chance, rate=rate))
        sys.exit(bool(violations))
    rows = asyncio.run(_run(chance, rounds, drawn, only, rate))
    click.echo(msgspec.json.encode(rows).decode() if as_json else as_text(rows))
    sys.exit(any(row.violations for row in rows))


async def _run(
    chance: random.Random, rounds: int, drawn: int, only: tuple[str, ...], rate: float
) -> list[Row]:
    async with running_rig() as rig:
        here = possible(rig)
        chosen = [fault for fault in (named(only) if only else here) if fault in here]
        plan = [[fault] for _ in range(rounds) for fault in chosen]
        plan += combinations(rig, chance, count=drawn)
        judge = Judge(rig)
        played: list[Round] = []
        for number, faults in enumerate(plan, 1):
            played.append(await play(rig, judge, faults, rate=rate, chance=chance))
            _tell(f"{number}/{len(plan)}", played[-1])
        return summarize(played)


def _tell(number: str, played: Round) -> None:
    found = played.findings
    click.echo(
        f"{time.strftime('%H:%M:%S')} {number} {played.name}: {found.accepted} accepted,"
        f" {played.recovery:.1f} s {'; '.join(found.violations)}",
        err=True,
    )


if __name__ == "__main__":
    main()
