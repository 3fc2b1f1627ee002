"""Ten thousand sockets that join and never read, and what others notice of them.

    python tests/benchmarks/crowd.py --sockets 10000

They come to a desk with everything that `frostdesk dev` starts, once with the instructor's token
and once without, while a customer writes, one subscriber listens and another one comes in. Printed:
how each socket was told to go, how long webhooks took beside them and without them, and the memory
of the API.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import click

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from frostdesk.cli.stack import running_stack  # noqa: E402  # found by the line above
from tests.realtime.crowd import Crowd, look_beside, write  # noqa: E402
from tests.support.desk import Api  # noqa: E402
from tests.support.environments import dev_environment  # noqa: E402
from tests.support.secrets import INSTRUCTOR_TOKEN  # noqa: E402

GONE_SECONDS = 60.0
CALM = 200
"""How many webhooks are measured without a crowd."""


async def measure(folder: Path, *, port: int, sockets: int) -> None:
    """Print what a crowd is told, and what others notice."""
    async with (
        running_stack(folder, dev_environment(port), quiet=True) as stack,
        aiohttp.ClientSession() as session,
    ):
        api = Api(session, stack.url)
        pid = stack.processes["serve"].pid
        calm: list[float] = []
        for _ in range(CALM):
            await write(api, [], calm)
        click.echo(f"no crowd: {_times(calm)}, {_memory(pid)}")
        for who, token in (("with the token", INSTRUCTOR_TOKEN), ("strangers", "not-the-token")):
            with Crowd(sockets, port=port, token=token) as crowd:
                await _beside(api, crowd, f"{sockets:,} {who}")
                click.echo(f"  {_memory(pid)}")


async def _beside(api: Api, crowd: Crowd, name: str) -> None:
    begun = time.monotonic()
    seen = await look_beside(api, crowd)
    took = time.monotonic() - begun
    ended = await asyncio.to_thread(crowd.endings, seconds=GONE_SECONDS)
    whole = seen.early == seen.wrote and seen.late == seen.wrote[-len(seen.late) :]
    click.echo(f"{name}: came within {took:.1f} s")
    click.echo(f"  told: {', '.join(f'{how} {n:,}' for how, n in ended.most_common())}")
    click.echo(f"  {_times(seen.waits)}")
    click.echo(
        f"  {len(seen.wrote)} rows, heard by others in order: {'all' if whole else 'NOT ALL'}"
    )


def _times(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    median, most = ordered[len(ordered) // 2] * 1000, ordered[-1] * 1000
    return f"webhooks: median {median:.1f} ms, longest {most:.0f} ms"


def _memory(pid: int) -> str:
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    now, most = (int(status[key].split()[0]) // 1024 for key in ("VmRSS", "VmHWM"))
    return f"memory of the API: {now} MB, at most {most} MB"


def main() -> None:
    """Raise the limit of open files, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=10_000)
    parser.add_argument("--port", type=int, default=13_000, help="the two after it are used too")
    asked = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with TemporaryDirectory(prefix="frostdesk-crowd-") as folder:
        asyncio.run(measure(Path(folder), port=asked.port, sockets=asked.sockets))


if __name__ == "__main__":
    main()
