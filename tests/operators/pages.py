"""The pages for operators: their commands, taken from them as printed, and run in order."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from frostdesk.embedded.postgres import find_install

DOCS = Path(__file__).parents[2] / "docs"

_PART = re.compile(
    r"^## (?P<heading>[^\n]+)$|^```sh\n(?P<block>.*?)^```$", re.MULTILINE | re.DOTALL
)


class Block(msgspec.Struct, frozen=True):
    """Commands between fences, and the heading that they stand under."""

    heading: str
    commands: str


class Done(msgspec.Struct, frozen=True):
    """How a block ended, and what it printed, errors included."""

    status: int
    output: str


class Page:
    """A page being followed: its blocks are run one after the other, as a reader would."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._left = _blocks((DOCS / name).read_text())
        self._folder = folder
        self._environment = {**environment, "PATH": _path()}
        self._groups: list[int] = []

    async def run(self, heading: str, **variables: str) -> Done:
        """Run the next block, which has to stand under that heading. Its first failure ends it."""
        block = self._left.pop(0)
        assert block.heading == heading, block
        log = self._folder / f"block-{len(self._groups)}.log"
        with log.open("wb") as output:
            shell = await asyncio.create_subprocess_exec(
                "bash",
                "-euo",
                "pipefail",
                "-c",
                block.commands,
                cwd=self._folder,
                env=self._environment | variables,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._groups.append(shell.pid)
        status = await shell.wait()
        return Done(status, log.read_text())

    async def passes(self, heading: str, **variables: str) -> str:
        """Run the next block, which has to succeed; gives what it printed."""
        done = await self.run(heading, **variables)
        assert done.status == 0, done.output
        return done.output

    def is_read(self) -> bool:
        """Whether no block is left."""
        return not self._left

    def end(self) -> None:
        """End whatever the commands have left running."""
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


@contextmanager
def following(name: str, folder: Path, environment: Mapping[str, str]) -> Iterator[Page]:
    """Follow a page of `docs/` to its end: every one of its blocks has to be run."""
    page = Page(name, folder, environment)
    try:
        yield page
        assert page.is_read()
    finally:
        page.end()


def _blocks(text: str) -> list[Block]:
    heading, blocks = "", []
    for part in _PART.finditer(text):
        heading = part["heading"] or heading
        if part["block"]:
            blocks.append(Block(heading, part["block"]))
    return blocks


def _path() -> str:
    """Where a shell finds `frostdesk` of this environment, and PostgreSQL's own programs."""
    ours = (Path(sys.executable).parent, find_install(18) / "bin")
    return ":".join([*map(str, ours), os.environ["PATH"]])
