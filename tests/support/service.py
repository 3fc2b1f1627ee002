"""The least privileged login: API and worker of every test run under it, not as the owner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from uuid import uuid4

from tests.support.databases import execute
from tests.support.secrets import DATABASE_PASSWORD

COMMANDS = ("serve", "worker")
"""The commands that need no more."""

_logins: dict[tuple[str, str], str] = {}
"""The login by the server that knows it."""


@contextmanager
def service_login(server_url: str) -> Iterator[str]:
    """A login on that server that is a member of the service's role, made as the README says."""
    login = f"frostdesk_test_{uuid4().hex}"
    execute(
        server_url,
        f"CREATE ROLE {login} LOGIN REPLICATION PASSWORD '{DATABASE_PASSWORD}'"
        " IN ROLE frostdesk_service",
    )
    _logins[_server(server_url)] = login
    try:
        yield login
    finally:
        del _logins[_server(server_url)]
        execute(server_url, f"DROP ROLE {login}")


def as_login(url: str, login: str) -> str:
    """The same database, entered by another login."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{login}:{DATABASE_PASSWORD}@{place}").geturl()


def as_service(url: str) -> str:
    """The same database, entered as the service; unchanged on a server that has no such login.

    A test that names a login of its own keeps it.
    """
    login = _logins.get(_server(url))
    has_own = (urlsplit(url).username or "").startswith("frostdesk_test_")
    return as_login(url, login) if login and not has_own else url


def _server(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2], parts.query
