"""How commands run: their settings, their event loop, their connections and their output."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from frostdesk.cli.pipes import OF_FILES
from frostdesk.errors import FrostDeskError
from frostdesk.settings import DATABASE, Settings, read_settings

if TYPE_CHECKING:
    from frostdesk.store.database import Pool

T = TypeVar("T")

DATA_DIR = Path(".frostdesk")
DEV_FILE = DATA_DIR / "dev.json"
"""What a running `frostdesk dev` has set up, so that other commands find it."""

GARBAGE_OBJECTS = 50_000
"""So many new objects have Python look for cycles. Its own 700 are there in a moment, and requests
and replies leave no cycles."""


def environment() -> dict[str, str]:
    """The environment, with that of a running `frostdesk dev` where it names no database."""
    environ = dict(os.environ)
    if "FROSTDESK_DATABASE_URL" not in environ and DEV_FILE.is_file():
        environ = msgspec.json.decode(DEV_FILE.read_bytes(), type=dict[str, str]) | environ
    return environ


def settings_for(required: tuple[str, ...] = DATABASE) -> Settings:
    """The settings, or a ConfigurationError that names every variable that is wrong."""
    return read_settings(environment(), required=required)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine to its end."""
    import uvloop

    gc.set_threshold(GARBAGE_OBJECTS)
    return uvloop.run(main)


@contextlib.asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[Pool]:
    """A pool for one command; a database that is away becomes one clear message."""
    import asyncpg

    from frostdesk.store.database import LOST, create_pool

    try:
        async with create_pool(settings.database_url, max_size=4) as pool:
            yield pool
    except LOST as error:
        if isinstance(error, OSError) and error.errno in OF_FILES:
            raise
        raise FrostDeskError(
            f"PostgreSQL cannot be reached ({type(error).__name__}). "
            "Is it running, and is FROSTDESK_DATABASE_URL right? `frostdesk doctor` tells more."
        ) from error
    except asyncpg.UndefinedTableError as error:
        raise FrostDeskError(
            "The database has no FrostDesk tables yet: run `frostdesk init-db` first."
        ) from error
    except asyncpg.PostgresError as error:
        raise FrostDeskError(f"PostgreSQL refused: {error}.") from error


def stop_event() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def print_json(items: Iterable[Any]) -> None:
    """One JSON document a line."""
    for item in items:
        sys.stdout.write(msgspec.json.encode(item).decode() + "\n")


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
