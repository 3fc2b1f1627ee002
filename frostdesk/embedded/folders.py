"""The two folders of an embedded server: its data, which is ours alone, and its socket."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from frostdesk.embedded.account import Account, let_through
from frostdesk.errors import ConfigurationError

SOCKET_PATH_BYTES = 90
"""A bit less than the 104 (macOS) and 108 (Linux) that a socket's path may have (unix(4))."""


@contextmanager
def claim(folder: Path) -> Iterator[Path]:
    """Make `folder` ours alone; gives its full path. The system takes the claim back if we die.

    Raises:
        ConfigurationError: another process has claimed it, or it cannot be made.
    """
    folder = folder.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise ConfigurationError(
            f"The folder {folder} cannot be used for data: {error.strerror}. "
            "Choose a folder that you may write to."
        ) from error
    with closing(lock):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(
                f"The folder {folder} is in use by another FrostDesk on this machine. "
                "Stop that one first, or start this one in another folder."
            ) from error
        yield folder


@contextmanager
def socket_folder(folder: Path, account: Account | None) -> Iterator[Path]:
    """A private folder for the socket of the server of `folder`: the same at every start.

    It lies among the temporary files, as a socket's path must be short wherever the data is.

    Raises:
        ConfigurationError: someone else has put something in its place.
    """
    name = "frostdesk-" + hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    path = Path(tempfile.gettempdir()).resolve() / name
    if len(os.fsencode(path / ".s.PGSQL.5432")) > SOCKET_PATH_BYTES:
        path = Path("/tmp", name)  # noqa: S108  # short everywhere; its owner is checked below
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    if account and _belongs_to(path, os.geteuid()):
        let_through(path.parent)
        account.own(path)
    if not _belongs_to(path, account.uid if account else os.geteuid()):
        raise ConfigurationError(
            f"{path} is needed for a server's socket, and belongs to someone else. "
            "Remove it, or name another folder for temporary files in TMPDIR."
        )
    try:
        yield path
    finally:
        with suppress(OSError):
            path.rmdir()


def _belongs_to(path: Path, uid: int) -> bool:
    """Whether `path` is a folder itself, and not a way to one, and that user's."""
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == uid
