"""The account that PostgreSQL runs as when we are root, and what it is let into."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from frostdesk.embedded.account import Account, as_user, let_read, let_through, server_account


def test_only_root_needs_an_account(folder: Path) -> None:
    """As root there is an account that is not root's; as anybody else there is none."""
    account = server_account(folder / "new")
    assert (account is None) == (os.geteuid() != 0)
    assert account is None or account.uid != 0


def test_data_stays_with_its_owner(folder: Path) -> None:
    """Data that an ordinary user has made runs as that user when root starts it."""
    if os.geteuid() == 0:
        Account(uid=4242, gid=4243).own(folder)
        assert server_account(folder) == Account(uid=4242, gid=4243)
    else:
        assert server_account(folder) is None


def test_a_child_runs_as_the_account_or_as_we_do() -> None:
    """An account gives its user and group and no other group; none gives nothing."""
    assert as_user(Account(uid=7, gid=8)) == {"user": 7, "group": 8, "extra_groups": []}
    assert as_user(None) == {}


def test_folders_are_opened_for_passing_only(folder: Path) -> None:
    """Every folder on the way may be passed through, and none may be listed."""
    inner = folder / "closed" / "data"
    inner.mkdir(parents=True)
    for path in (inner, inner.parent):
        path.chmod(0o700)

    let_through(inner)

    assert [stat.S_IMODE(path.stat().st_mode) for path in (inner, inner.parent)] == [0o701, 0o701]


def test_programs_are_opened_for_reading_and_running(folder: Path) -> None:
    """What its owner may run everybody may run, the rest everybody may read."""
    for name, mode in (("postgres", 0o700), ("timezone", 0o600)):
        (folder / name).touch()
        (folder / name).chmod(mode)

    let_read(folder)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"postgres": 0o705, "timezone": 0o604}
