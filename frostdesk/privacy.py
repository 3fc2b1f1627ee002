"""A customer's rights over an append-only log: to be forgotten, and to have what is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import msgspec
from arq.connections import ArqRedis
from arq.constants import job_key_prefix
from arq.jobs import DeserializationError, deserialize_job_raw

from frostdesk.doorbell import QUEUE, decode_job
from frostdesk.store.forgetting import erase


class Forgotten(msgspec.Struct, frozen=True):
    """Where the log says that it was done, and how many jobs were taken off the queue."""

    position: int
    jobs: int


async def forget(
    connection: asyncpg.Connection[asyncpg.Record], redis: ArqRedis, conversation_id: UUID
) -> Forgotten:
    """Erase a customer from the log, the tables, as-of schemas and the queue, in this order.

    Repeating it is harmless, and is the remedy if Redis was away.

    Raises:
        NotFoundError: there is no such conversation.
        One of `REDIS_AWAY`: Redis is away. The database has forgotten already.
    """
    position = await erase(connection, conversation_id)
    return Forgotten(position, await withdraw_jobs(redis, conversation_id))


async def withdraw_jobs(redis: ArqRedis, conversation_id: UUID) -> int:
    """Take every job of a conversation off the queue, texts included. Returns how many."""
    found = [key async for key in _jobs_of(redis, str(conversation_id))]
    if found:
        await redis.zrem(QUEUE, *(key.decode().removeprefix(job_key_prefix) for key in found))
        await redis.delete(*found)
    return len(found)


async def _jobs_of(redis: ArqRedis, conversation_id: str) -> AsyncIterator[bytes]:
    """The keys of the jobs whose first argument is this conversation."""
    async for key in redis.scan_iter(match=f"{job_key_prefix}*"):
        body = await redis.get(key)
        try:
            _, args, *_ = deserialize_job_raw(body, deserializer=decode_job)
        except (DeserializationError, TypeError):
            continue  # gone meanwhile, or none of ours
        if args and args[0] == conversation_id:
            yield key
