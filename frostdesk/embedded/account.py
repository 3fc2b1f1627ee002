"""Whom PostgreSQL runs as when we are root, as which it refuses to run."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

import msgspec

from frostdesk.errors import ConfigurationError

NAME = "pgserver"
"""The name that the wheel's own launcher gives to this account, so that both share one."""

_TRIES = 20


class User(TypedDict, total=False):
    """The arguments of `subprocess` that make a child run as somebody else; none: as we do."""

    user: int
    group: int
    extra_groups: list[int]


class Account(msgspec.Struct, frozen=True):
    """An unprivileged account of this machine."""

    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Make the account the owner of `path`."""
        os.chown(path, self.uid, self.gid)


def as_user(account: Account | None) -> User:
    """The arguments of `subprocess` for a child that runs as `account`, or as we do."""
    if account is None:
        return User()
    return User(user=account.uid, group=account.gid, extra_groups=[])


def server_account(data: Path) -> Account | None:
    """The account to run the PostgreSQL of `data` as: none if we are not root.

    Data that somebody else owns stays theirs; else it is `pgserver`, made if it does not exist.

    Raises:
        ConfigurationError: it could not be made.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for _ in range(_TRIES):
        with suppress(KeyError):
            entry = pwd.getpwnam(NAME)
            return Account(entry.pw_uid, entry.pw_gid)
        reason = _make_account()
        time.sleep(0.05 if reason else 0)  # another process may hold the list of accounts
    raise ConfigurationError(
        f"PostgreSQL does not run as root, and the account {NAME} could not be made: {reason}. "
        "Start FrostDesk as an ordinary user, or make the account yourself."
    )


def _make_account() -> str:
    """Why it failed, if it did."""
    command = ("useradd", "--system", "--no-create-home", "--shell", "/bin/false", NAME)
    try:
        made = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603  # fixed
    except OSError as error:
        return str(error)
    return made.stderr.strip() if made.returncode else ""


def let_through(path: Path) -> None:
    """Let every account pass, but not list, the folders down to `path`, a folder itself."""
    for folder in (path, *path.parents):
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def let_read(install: Path) -> None:
    """Let every account read the programs under `install`, which are no secret."""
    for path in (install, *install.rglob("*")):
        mode = path.stat().st_mode
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if mode != wanted:
            path.chmod(wanted)
