"""`frostdesk events` and `frostdesk import`, as they are typed and piped."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool, create_pool
from tests.factories import BEN, generated, received, sender
from tests.logs import NEWEST, bring_in, log_in, rows_in, stored
from tests.support.databases import new_database
from tests.support.programs import COMMAND, Program, Programs


@pytest.fixture
async def store(pool: Pool) -> AsyncIterator[EventStore]:
    """A store on this test's database."""
    async with EventStore(pool) as store:
        yield store


def lines_of(program: Program) -> list[dict[str, object]]:
    """What a program has printed, a JSON document a line."""
    return [json.loads(line) for line in program.output().splitlines()]


async def test_filters_go_together(programs: Programs, store: EventStore) -> None:
    """Conversation, type, position (exclusively) and limit narrow the list together."""
    ids: list[UUID] = []
    for by in (sender(), sender(BEN)):
        (appended,) = await store.append([received(by=by)])
        replies = [generated() for _ in range(3)]
        await store.append(replies, conversation_id=appended.conversation_id)
        ids.append(appended.conversation_id)
    found = await programs.run(
        *("events", "--conversation", str(ids[1]), "--type", "ReplyGenerated"),
        *("--after", "6", "--limit", "1", "--json"),
    )
    (event,) = [json.loads(line) for line in found.stdout.splitlines()]
    assert (event["position"], event["conversation_id"]) == (7, str(ids[1]))
    assert len((await programs.run("events")).stdout.splitlines()) == 8


async def test_an_unknown_type_is_refused(programs: Programs) -> None:
    """A type that does not exist is told, instead of an empty list."""
    found = await programs.run("events", "--type", "MessageRecieved")
    assert found.returncode == 2
    assert "MessageReceived" in found.stderr


async def test_each_event_is_out_at_once(programs: Programs, store: EventStore) -> None:
    """A follower whose output is a file or a pipe gets each line as soon as the event is there."""
    await store.append([received("before")])
    follower = programs.start("events", "--follow", "--json")
    await follower.says('"before"')
    await store.append([received("meanwhile")])
    await follower.says('"meanwhile"')
    assert [line["position"] for line in lines_of(follower)] == [1, 2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_follower_ends_quietly(
    programs: Programs, store: EventStore, number: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM end a follower with status 0 and not a word."""
    await store.append([received()])
    follower = programs.start("events", "--follow")
    await follower.says("MessageReceived")
    before = follower.output()
    follower.process.send_signal(number)
    assert await follower.wait() == 0
    assert follower.output() == before


async def test_a_follower_ends_after_its_limit(programs: Programs, store: EventStore) -> None:
    """With a limit a follower waits for so many events, and then ends."""
    follower = programs.start("events", "--follow", "--limit", "2", "--json")
    for _ in range(3):
        await store.append([received()])
    assert await follower.wait() == 0
    assert [line["position"] for line in lines_of(follower)] == [1, 2]


def leave(environment: dict[str, str], options: tuple[str, ...]) -> tuple[int, bytes]:
    """List events to a pipe that nobody reads; gives the status and what was complained of."""
    with subprocess.Popen(
        (*COMMAND, "events", *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complaint = process.stderr.read()
        return process.wait(20), complaint


@pytest.mark.parametrize("options", [("--json",), ("--json", "--follow"), ("--follow",), ()])
async def test_a_reader_may_leave(
    programs: Programs, database_url: str, options: tuple[str, ...]
) -> None:
    """Where the reader of a pipe has enough, the command ends without a complaint."""
    await bring_in(database_url)
    assert await asyncio.to_thread(leave, programs.environment, options) == (0, b"")


@pytest.mark.parametrize(
    "command",
    [
        ("events", "--json"),
        ("events",),
        ("conversations",),
        ("bookings", "--json"),
        ("rebuild", "--verify"),
    ],
)
async def test_output_that_cannot_be_written_is_told_of(
    programs: Programs, database_url: str, command: tuple[str, ...]
) -> None:
    """A backup onto a full disk fails with the reason, and not with one of PostgreSQL's."""
    await bring_in(database_url)
    done = await asyncio.to_thread(
        subprocess.run,
        ("sh", "-c", 'exec "$@" > /dev/full', "sh", *COMMAND, *command),
        env=programs.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    reason = "frostdesk: The output cannot be written: No space left on device.\n"
    assert (done.returncode, done.stderr) == (1, reason)


async def test_a_verdict_is_not_lost_with_its_reader(programs: Programs, pool: Pool) -> None:
    """Where nobody reads what differs, the status still says that something does."""
    async with EventStore(pool) as store:
        await store.append([received()])
    await pool.execute("UPDATE messages SET content = 'other'")
    done = await asyncio.to_thread(
        subprocess.run,
        (
            "bash",
            "-c",
            '"$@" | true; exit ${PIPESTATUS[0]}',
            "bash",
            *COMMAND,
            "rebuild",
            "--verify",
        ),
        env=programs.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)


async def test_positions_end_where_postgresql_s_do(programs: Programs) -> None:
    """A number beyond them is a mistyped option."""
    done = await programs.run("events", "--after", str(2**63))
    assert done.returncode == 2
    assert "--after" in done.stderr


async def test_a_follower_says_at_once_what_is_wrong(
    programs: Programs, postgres_server: str
) -> None:
    """Without tables, or without a database, following ends with one message."""
    no_tables = await programs.run("events", "--follow", FROSTDESK_DATABASE_URL=postgres_server)
    assert (no_tables.returncode, no_tables.stdout) == (1, "")
    assert "init-db" in no_tables.stderr
    nowhere = "postgresql://nobody@127.0.0.1:9/nothing"
    away = await programs.run("events", "--follow", FROSTDESK_DATABASE_URL=nowhere)
    assert away.returncode == 1
    assert "cannot be reached" in away.stderr
    assert "Traceback" not in away.stderr + no_tables.stderr


@pytest.fixture
def empty_url(postgres_server: str, template: str) -> Iterator[str]:
    """The URL of a second database, with the schema and nothing in it."""
    with new_database(postgres_server, template=template) as url:
        yield url


async def test_a_backup_is_restored_to_the_letter(
    programs: Programs, pool: Pool, database_url: str, empty_url: str, tmp_path: Path
) -> None:
    """`events --json` into `import` gives the same log and the same tables, once and twice."""
    await bring_in(database_url)
    backup = tmp_path / "backup.jsonl"
    backup.write_text((await programs.run("events", "--json")).stdout)
    assert stored(backup) == stored(NEWEST)
    first = await programs.run("import", str(backup), FROSTDESK_DATABASE_URL=empty_url)
    assert (first.returncode, first.stderr) == (0, "")
    assert f"{len(stored(NEWEST))} events imported" in first.stdout
    again = await programs.run("import", str(backup), FROSTDESK_DATABASE_URL=empty_url)
    assert again.returncode == 0
    assert "nothing was changed" in again.stdout
    async with create_pool(empty_url) as restored:
        assert await log_in(restored) == await log_in(pool)
        assert await rows_in(restored) == await rows_in(pool)


async def test_a_backup_comes_through_a_pipe(programs: Programs) -> None:
    """`-` is standard input."""
    done = await asyncio.to_thread(
        subprocess.run,
        (*COMMAND, "import", "-"),
        input=NEWEST.read_bytes(),
        capture_output=True,
        env=programs.environment,
        check=True,
    )
    assert f"{len(stored(NEWEST))} events imported" in done.stdout.decode()


async def test_a_truncated_backup_is_refused(programs: Programs, tmp_path: Path) -> None:
    """A file that was cut off in a line ends with one message that names the line."""
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(NEWEST.read_bytes()[:-40])
    done = await programs.run("import", str(cut))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"Line {len(stored(NEWEST))} " in done.stderr
    assert "Nothing was imported" in done.stderr
    assert (await programs.run("events")).stdout == ""


async def test_a_database_in_use_is_left_alone(programs: Programs, store: EventStore) -> None:
    """A database with other events ends the import with one message."""
    await store.append([received()])
    done = await programs.run("import", str(NEWEST))
    assert (done.returncode, done.stdout) == (1, "")
    assert "other events" in done.stderr
    assert len((await programs.run("events")).stdout.splitlines()) == 1
