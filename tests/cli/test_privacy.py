"""`frostdesk forget` and `frostdesk export`, as they are typed."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool
from tests.factories import generated, received, sender
from tests.support.ports import free_port
from tests.support.programs import COMMAND, Programs


@pytest.fixture
async def mira(pool: Pool) -> str:
    """The id of a conversation with one message and one reply."""
    async with EventStore(pool) as store:
        (appended,) = await store.append([received("My knee!", by=sender(name="Mira Vogt"))])
        await store.append([generated("Mind it.")], conversation_id=appended.conversation_id)
        return str(appended.conversation_id)


async def contents(pool: Pool, conversation_id: str) -> set[str]:
    """What the messages of a conversation read."""
    rows = await pool.fetch(
        "SELECT content FROM messages WHERE conversation_id = $1", UUID(conversation_id)
    )
    return {row["content"] for row in rows}


async def forget(programs: Programs, mira: str, answer: str) -> subprocess.CompletedProcess[str]:
    """Forget, and answer the question."""
    return await asyncio.to_thread(
        subprocess.run,
        (*COMMAND, "forget", mira),
        input=answer,
        capture_output=True,
        text=True,
        check=False,
        env=programs.environment,
    )


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
async def test_it_asks_first(programs: Programs, pool: Pool, mira: str, answer: str) -> None:
    """It says whom it is about and how much, and without a clear yes nothing happens."""
    asked = await forget(programs, mira, answer)
    assert asked.returncode == 130
    for part in ("Mira Vogt", "2 messages", "[y/N]"):
        assert part in asked.stdout
    assert await contents(pool, mira) == {"My knee!", "Mind it."}


async def test_a_yes_is_enough(programs: Programs, pool: Pool, mira: str) -> None:
    """After a yes the words are gone, and the position that says so is named."""
    done = await forget(programs, mira, "y\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert "event 3 says so" in done.stdout
    assert await contents(pool, mira) == {"[forgotten]"}


async def test_yes_can_be_said_beforehand(programs: Programs, pool: Pool, mira: str) -> None:
    """With --yes nothing is asked, and a second time is harmless and says so."""
    assert (await programs.run("forget", mira, "--yes")).returncode == 0
    assert await contents(pool, mira) == {"[forgotten]"}
    again = await programs.run("forget", mira, "--yes")
    assert again.returncode == 0
    assert "forgotten before" in again.stdout


async def test_what_is_left_undone_is_said(programs: Programs, pool: Pool, mira: str) -> None:
    """Where Redis is away the database forgets, and the command says what to do about the rest."""
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    done = await programs.run("forget", mira, "--yes", FROSTDESK_REDIS_URL=nowhere)
    assert done.returncode == 1
    assert f"frostdesk forget {mira}` again" in done.stderr
    assert "Traceback" not in done.stderr
    assert await contents(pool, mira) == {"[forgotten]"}


async def test_an_unknown_customer_is_an_error(programs: Programs) -> None:
    """Nobody is forgotten or shown who is not there."""
    for command in (("forget", "--yes"), ("export",)):
        done = await programs.run(*command, str(uuid4()))
        assert done.returncode == 1
        assert "There is no conversation" in done.stderr


async def test_all_that_is_kept_is_one_document(
    programs: Programs, mira: str, tmp_path: Path
) -> None:
    """The same indented JSON goes to standard output or to a file that only its owner reads."""
    printed = await programs.run("export", mira)
    assert printed.returncode == 0
    kept = json.loads(printed.stdout)
    assert kept["conversation"]["name"] == "Mira Vogt"
    assert [m["content"] for m in kept["messages"]] == ["My knee!", "Mind it."]
    assert kept.keys() == {"conversation", "identities", "messages", "bookings", "events"}
    assert '\n  "messages"' in printed.stdout
    file = tmp_path / "mira.json"
    written = await programs.run("export", mira, "--output", str(file))
    assert (written.returncode, written.stdout) == (0, "")
    assert file.read_text() == printed.stdout
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_after_forgetting_nothing_personal_is_handed_over(
    programs: Programs, mira: str
) -> None:
    """What is kept of a forgotten customer holds neither words nor names."""
    await programs.run("forget", mira, "--yes")
    kept = (await programs.run("export", mira)).stdout
    assert "CustomerForgotten" in kept
    assert not any(word in kept for word in ("knee", "Mira", "Mind it", "4179"))


async def test_a_rebuild_finds_nothing_wrong_afterwards(programs: Programs, mira: str) -> None:
    """The tables of a database that has forgotten somebody are those that its log leads to."""
    assert (await programs.run("forget", mira, "--yes")).returncode == 0
    verified = await programs.run("rebuild", "--verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
