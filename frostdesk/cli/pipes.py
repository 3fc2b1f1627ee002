"""Output that somebody else reads: it may be cut short, or there may be no room for it."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator

import click

from frostdesk.errors import FrostDeskError

OF_FILES = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What comes of writing a file or a pipe, and never of asking a server."""


@contextlib.contextmanager
def for_a_reader(*, left: int = 0) -> Iterator[None]:
    """Bring what is printed within to its reader now.

    One who has `left` ends the command quietly, with this status.

    Raises:
        FrostDeskError: the output cannot be written.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in OF_FILES:
            raise
        # What is still buffered would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:
            raise click.exceptions.Exit(left) from None
        raise FrostDeskError(f"The output cannot be written: {error.strerror}.") from error
