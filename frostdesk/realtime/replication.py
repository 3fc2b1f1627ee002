"""The stream of committed changes, straight from PostgreSQL's write-ahead log.

A replication connection with a temporary slot: the server sends as it commits, nothing is polled,
no write pays for it, and when the connection ends the slot is gone and holds back no log.
PostgreSQL manual, "Streaming Replication Protocol".
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg

from frostdesk.errors import TryAgainError
from frostdesk.realtime.changes import SCHEMA, TABLES, Change, Columns
from frostdesk.realtime.pgoutput import EPOCH, Decoder
from frostdesk.store.database import CONNECT_SECONDS, connect

PUBLICATION = "supabase_realtime"

BEAT_SECONDS = 20.0
SILENCE_SECONDS = 60.0
"""The server answers every beat; one that is silent for this long is taken for dead."""

if TYPE_CHECKING:
    _Base = asyncpg.Connection[asyncpg.Record]
else:
    _Base = asyncpg.Connection  # only the type checker knows it as generic

END_SECONDS = 2.0

COLUMNS = """
SELECT c.relname AS table, a.attname AS column, t.typname AS type
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
 WHERE c.relnamespace = $1::regnamespace AND c.relname = ANY ($2)
 ORDER BY c.relname, a.attnum
"""


class Stream:
    """A running stream. `columns` are those of the tables when it began."""

    def __init__(self, columns: Columns, wire: _Wire) -> None:
        self.columns = columns
        self._decoder = Decoder(columns)
        self._wire = wire

    async def changes(self) -> AsyncIterator[Change]:
        """Every change committed since the stream began, in the order of the commits; no end.

        Raises:
            OSError, EOFError, TimeoutError: the connection is lost.
            TryAgainError: the server has ended the stream; the text has its reason.
        """
        async for message in self._wire.messages():
            change = self._decoder.decode(message)
            if change is not None:
                yield change


@contextlib.asynccontextmanager
async def open_stream(database_url: str) -> AsyncIterator[Stream]:
    """A stream of what is committed from now on.

    It begins when the transactions that are writing just now have ended.

    Raises:
        asyncpg.PostgresError, OSError, TimeoutError, TryAgainError: it cannot be had.
    """
    columns = await _columns(database_url)
    connection: _Connection = await asyncpg.connect(
        database_url,
        timeout=CONNECT_SECONDS,
        connection_class=_Connection,
        statement_cache_size=0,
        server_settings={
            "replication": "database",
            "application_name": "frostdesk realtime",
            # How rows are written; the decoder reads nothing else.
            "datestyle": "ISO",
            "timezone": "UTC",
        },
    )
    try:
        slot = f"frostdesk_{uuid4().hex}"
        await connection.execute(
            f"CREATE_REPLICATION_SLOT {slot} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing')",
            timeout=None,
        )
        wire = _Wire(connection.transport)
        await wire.start(slot)
        try:
            async with _beating(wire):
                yield Stream(columns, wire)
        finally:
            await wire.end()
    finally:
        connection.terminate()


async def _columns(database_url: str) -> Columns:
    connection = await connect(database_url)
    try:
        rows = await connection.fetch(COLUMNS, SCHEMA, TABLES)
    finally:
        await connection.close()
    columns: dict[str, dict[str, str]] = {}
    for row in rows:
        columns.setdefault(row["table"], {})[row["column"]] = row["type"]
    return columns


class _Connection(_Base):
    """asyncpg signs in and makes the slot; what follows is no query, so its transport is kept."""

    def __init__(self, protocol: Any, transport: asyncio.Transport, *rest: Any) -> None:
        super().__init__(protocol, transport, *rest)
        self.transport = transport


class _Wire:
    """The connection as the replication protocol uses it: messages both ways, no queries."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._reader = asyncio.StreamReader()
        self._position = 0
        transport.pause_reading()
        protocol = asyncio.StreamReaderProtocol(self._reader)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        transport.resume_reading()

    async def start(self, slot: str) -> None:
        """Have the server stream; it does so once this returns."""
        command = (
            f"START_REPLICATION SLOT {slot} LOGICAL 0/0"
            f" (proto_version '1', publication_names '\"{PUBLICATION}\"')"
        )
        self._send(b"Q", command.encode() + b"\0")
        while (await self._receive())[0] != b"W":
            pass

    async def messages(self) -> AsyncIterator[bytes]:
        """The messages of the output plugin; the server's questions are answered on the way."""
        while True:
            kind, body = await self._receive()
            if kind == b"c":
                raise TryAgainError("PostgreSQL has ended the stream of changes.")
            if kind == b"d" and body[:1] == b"w":
                yield body[25:]
            elif kind == b"d":
                end, _, wants_answer = struct.unpack_from("!xQQB", body)
                self._position = end
                if wants_answer:
                    self.report()

    def report(self, *, asking: bool = False) -> None:
        """Say how far we have come; `asking` for an answer that shows that the server lives."""
        now = (datetime.now(UTC) - EPOCH).total_seconds()
        place = self._position
        status = struct.pack("!cQQQqB", b"r", place, place, place, int(now * 1e6), asking)
        self._send(b"d", status)

    async def end(self) -> None:
        """Say good-bye, and wait a little until the server has cleared the slot away and left."""
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                self._send(b"X", b"")
                await self._reader.read()

    def _send(self, kind: bytes, body: bytes) -> None:
        self._transport.write(kind + struct.pack("!I", len(body) + 4) + body)

    async def _receive(self) -> tuple[bytes, bytes]:
        async with asyncio.timeout(SILENCE_SECONDS):
            kind, length = struct.unpack("!cI", await self._reader.readexactly(5))
            body = await self._reader.readexactly(length - 4)
        if kind == b"E":
            raise TryAgainError(f"PostgreSQL has ended the stream: {_error_text(body)}.")
        return kind, body


@contextlib.asynccontextmanager
async def _beating(wire: _Wire) -> AsyncIterator[None]:
    async def beat() -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            wire.report(asking=True)

    beating = asyncio.create_task(beat(), name="keep the stream of changes alive")
    try:
        yield
    finally:
        beating.cancel()


def _error_text(body: bytes) -> str:
    """The message of an ErrorResponse: fields of a letter and a text, M the text for people."""
    fields = {field[:1]: field[1:].decode(errors="replace") for field in body.split(b"\0")}
    return fields.get(b"M", "without a reason")
