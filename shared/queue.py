"""Jobs: work that is asked for or scheduled. Their arguments are ids; arq carries them.

Losing a job may cost time, never data: what it works on lies in Postgres or in the backlog, and a
sweep asks for it again.
"""

from datetime import timedelta
from typing import ClassVar
from uuid import uuid4

import msgspec
from arq import ArqRedis
from msgspec import Struct
from msgspec.structs import asdict
from redis.asyncio import ConnectionPool

NOW = "pagewire:now"
"""What people wait for: few short jobs, looked for ten times a second."""

LATER = "pagewire:later"
"""What can wait: looked for twice a second, since a fast look over many long jobs eats a core."""

# arq drops a job's arguments a day after it was due; a backlog may be older than that.
EXPIRES = timedelta(days=7)


class Job(Struct, frozen=True, kw_only=True):
    """Something to be done, by name; the fields are its arguments, sent as a MessagePack map."""

    name: ClassVar[str]


class SyncStep(Job, frozen=True, kw_only=True):
    """Take the next step of a sync run (a row of `sync_runs`)."""

    name: ClassVar[str] = "sync_step"
    run_id: str


class SyncPage(Job, frozen=True, kw_only=True):
    """Sync a Page, by our id or Facebook's; joins a run that is under way."""

    name: ClassVar[str] = "sync_page"
    page: str
    full: bool = False


class SyncAll(Job, frozen=True, kw_only=True):
    """Sync every active Page."""

    name: ClassVar[str] = "sync_all"
    full: bool = False


class ApplyWaiting(Job, frozen=True, kw_only=True):
    """Apply the webhooks that waited for a Page to be added, by Facebook's id."""

    name: ClassVar[str] = "apply_waiting"
    page: str


encode = msgspec.msgpack.Encoder(enc_hook=repr).encode
decode = msgspec.msgpack.Decoder().decode


def connect(pool: ConnectionPool) -> ArqRedis:
    """Return arq's client over a pool that has timeouts; jobs travel as MessagePack."""
    return ArqRedis(
        connection_pool=pool,
        job_serializer=encode,
        job_deserializer=decode,
        default_queue_name=LATER,
        expires_extra_ms=int(EXPIRES.total_seconds() * 1000),
    )


class Queue:
    """Where jobs are put."""

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis

    async def put(self, job: Job, *, queue: str = LATER, after: timedelta | None = None) -> str:
        """Queue a job and return its id.

        Ids are never reused: arq ignores a job whose id is known, also while it runs, and would
        lose a wake-up so. Doing the same twice is harmless instead.
        """
        job_id = f"{queue}:{job.name}:{uuid4().hex}"
        await self._redis.enqueue_job(
            job.name, _job_id=job_id, _queue_name=queue, _defer_by=after, **asdict(job)
        )
        return job_id
