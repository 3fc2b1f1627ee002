"""The folders of embedded servers: one owner at a time, and a short, private place for sockets."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from frostdesk.embedded.folders import SOCKET_PATH_BYTES, claim, socket_folder
from frostdesk.errors import ConfigurationError


def test_a_folder_has_one_owner_at_a_time(folder: Path) -> None:
    """A second claim is refused with the folder's name, and succeeds once the first has ended."""
    with (
        claim(folder),
        pytest.raises(ConfigurationError, match=f"{folder} is in use"),
        claim(folder),
    ):
        pass
    with claim(folder) as claimed:
        assert claimed == folder.resolve()


def test_a_folder_that_cannot_be_made_is_refused(folder: Path) -> None:
    """The text names the folder and says what is in the way."""
    (folder / "file").touch()

    with (
        pytest.raises(ConfigurationError, match=r"file/data cannot be used.*directory"),
        claim(folder / "file/data"),
    ):
        pass


def test_sockets_get_a_short_path_wherever_temporary_files_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deep folder for temporary files does not make a socket's path too long."""
    deep = folder / ("deep" * 30)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))

    with socket_folder(folder, None) as sockets:
        assert len(os.fsencode(sockets)) < SOCKET_PATH_BYTES
        assert sockets.stat().st_mode & 0o077 == 0
    assert not sockets.exists()


def test_a_socket_folder_of_somebody_else_is_refused(folder: Path) -> None:
    """Nobody can put a folder of theirs, or a way to one, where the socket will be."""
    with socket_folder(folder, None) as sockets:
        pass
    sockets.symlink_to(folder)
    try:
        with (
            pytest.raises(ConfigurationError, match="belongs to someone else"),
            socket_folder(folder, None),
        ):
            pass
    finally:
        sockets.unlink()


def test_the_remains_of_an_unclean_end_are_used_again(folder: Path) -> None:
    """A socket folder that was left behind is no obstacle."""
    with socket_folder(folder, None) as sockets:
        pass
    sockets.mkdir(mode=0o700)
    with socket_folder(folder, None) as again:
        assert again == sockets
