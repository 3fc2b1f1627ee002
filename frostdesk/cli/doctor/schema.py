"""The schema: is it there, is it this version's, and what may this login do in it."""

from __future__ import annotations

from typing import TypeAlias

import asyncpg

from frostdesk.cli.doctor.verdict import Verdict
from frostdesk.cli.operations import applied_number, schema, schema_number
from projections import STATEMENTS

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

TABLES = ("events", "conversations", "identities", "messages", "bookings", "claims")
PROJECTED = ("conversations", "messages", "bookings")
GUARDS = ("events_take_turns", "events_go_on", "events_are_immutable", "events_only_forget")

INIT_DB = "Run `frostdesk init-db`."
MAKE_ANEW = (
    "The tables are made from the events: drop the one that is named (never `events`), run"
    " `frostdesk init-db`, then `frostdesk rebuild`."
)

OVERMIGHTY = """
SELECT CASE WHEN rolsuper THEN 'is a superuser'
            WHEN pg_has_role(relowner, 'USAGE') THEN 'owns the log'
            WHEN has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER')
            THEN 'may change or delete events' END
  FROM pg_roles, pg_class c
 WHERE rolname = current_user AND c.oid = 'public.events'::regclass
"""


async def check_schema(connection: Connection) -> list[Verdict]:
    """Verdicts on the tables; where some are missing, that is the only one."""
    missing = await connection.fetch(
        "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass('public.' || name) IS NULL",
        list(TABLES),
    )
    if missing:
        names = ", ".join(row["name"] for row in missing)
        return [Verdict("schema", "failed", f"tables are missing: {names}", INIT_DB)]
    return [
        await _shape(connection) or await _version(connection),
        await _rights(connection),
        await _publication(connection),
    ]


async def _shape(connection: Connection) -> Verdict | None:
    """Whether the tables are those that events are projected into: what is there stays as it is."""
    for table, statement in STATEMENTS.items():
        try:
            async with connection.transaction():
                await connection.prepare(statement)
        except asyncpg.SyntaxOrAccessError as error:
            seen = f"{table} is not as it should be: {error}"
            return Verdict("schema", "failed", seen, MAKE_ANEW)
    return None


async def _version(connection: Connection) -> Verdict:
    guards = await connection.fetchval(
        "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'public.events'::regclass"
        " AND NOT tgisinternal AND tgenabled = 'A' AND tgname = ANY ($1)",
        list(GUARDS),
    )
    if guards != len(GUARDS):
        seen = "the guard of the events is off or missing: the past can be changed"
        return Verdict("schema", "failed", seen, INIT_DB)
    there, ours = await applied_number(connection), schema_number(schema())
    if there < ours:
        seen = f"it is number {there}, and this FrostDesk's is {ours}"
        return Verdict("schema", "failed", seen, INIT_DB)
    if there > ours:
        advice = "Upgrade this FrostDesk: a newer one has run `init-db`. Until then it goes on."
        seen = f"it is number {there}, newer than this FrostDesk's {ours}"
        return Verdict("schema", "warning", seen, advice)
    return Verdict("schema", "ok", f"number {there}, all tables are there, the events are guarded")


async def _rights(connection: Connection) -> Verdict:
    lacking = await connection.fetch(
        "SELECT name FROM unnest($1::text[]) AS name"
        " WHERE NOT has_table_privilege('public.' || name, 'SELECT')"
        "    OR NOT has_table_privilege('public.' || name, 'INSERT')"
        "    OR (name <> 'events' AND NOT has_table_privilege('public.' || name, 'UPDATE'))",
        list(TABLES),
    )
    if lacking:
        names = ", ".join(row["name"] for row in lacking)
        advice = "Run `frostdesk init-db` as the owner, then GRANT frostdesk_service TO this login."
        return Verdict("rights", "failed", f"this login may not use {names}", advice)
    if mighty := await connection.fetchval(OVERMIGHTY):
        advice = (
            "Serve with a login that can only serve: README, and keep this one for `init-db`,"
            " `rebuild`, `import` and `forget`."
        )
        return Verdict("rights", "warning", f"this login {mighty}", advice)
    return Verdict("rights", "ok", "this login may read and append, and no more")


async def _publication(connection: Connection) -> Verdict:
    published = await connection.fetchval(
        "SELECT count(*) FROM pg_publication_tables WHERE pubname = 'supabase_realtime'"
        " AND schemaname = 'public' AND tablename = ANY ($1)",
        list(PROJECTED),
    )
    if published != len(PROJECTED):
        advice = "Run `frostdesk init-db`: it puts the three tables into supabase_realtime."
        return Verdict("publication", "failed", "the publication is incomplete", advice)
    return Verdict("publication", "ok", "the three tables are published")
