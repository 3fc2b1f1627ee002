"""FrostDesk's commands can be started, asked to end, and killed."""

from __future__ import annotations

import pytest

from tests.support.programs import Programs


async def test_the_api_starts_and_ends_when_asked(programs: Programs) -> None:
    """The API answers on its port, and ends with status 0 on SIGTERM."""
    api = await programs.serve()
    assert await api.terminate() == 0


async def test_a_worker_starts_and_can_be_killed(programs: Programs) -> None:
    """A killed program is gone at once, its whole group with it."""
    worker = programs.start("worker")
    worker.kill()
    assert await worker.wait() == -9


async def test_a_command_runs_to_its_end(programs: Programs) -> None:
    """A command's status and output can be looked at."""
    done = await programs.run("--help")
    assert done.returncode == 0
    assert "serve" in done.stdout


async def test_a_program_that_ends_is_not_waited_for(programs: Programs) -> None:
    """Where the API cannot start, the wait for it ends at once and shows what it wrote."""
    with pytest.raises(AssertionError, match=r"(?s)status 2.*FROSTDESK_WHATSAPP_APP_SECRET"):
        await programs.serve(FROSTDESK_WHATSAPP_APP_SECRET="")
