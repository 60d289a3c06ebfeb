"""Jobs: work that is asked for or scheduled. Their arguments are ids; arq carries them.

Losing a job may cost time, never data: what it works on lies in Postgres or in the backlog, and a
sweep asks for it again.
"""

import time
from datetime import timedelta
from typing import Any, ClassVar, cast
from uuid import uuid4

import msgspec
from arq import ArqRedis
from msgspec import Struct
from msgspec.structs import asdict
from redis.asyncio import ConnectionPool

from shared import tracing
from shared.errors import Unavailable, Unreadable

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


class Subscribe(Job, frozen=True, kw_only=True):
    """See to it that Facebook sends a Page's webhooks, by Facebook's id."""

    name: ClassVar[str] = "subscribe"
    page: str


class ApplyWaiting(Job, frozen=True, kw_only=True):
    """Apply the webhooks that waited for a Page to be added, by Facebook's id."""

    name: ClassVar[str] = "apply_waiting"
    page: str


class RetryDead(Job, frozen=True, kw_only=True):
    """Bring the open dead letters back that fit all that is given: into the backlog, or the queue.

    `page_ids` are the ids that webhook entries bear.
    """

    name: ClassVar[str] = "retry_dead"
    ids: list[int] | None = None
    reason: str | None = None
    page_ids: list[str] | None = None


class Erase(Job, frozen=True, kw_only=True):
    """Erase a person (PSID, IGSID) at a Page, by any of its ids, or at all that know the person."""

    name: ClassVar[str] = "erase"
    person: str
    page: str | None = None


class Replay(Job, frozen=True, kw_only=True):
    """Apply again what was received since a time, of one Page or of all.

    `after` is the place it has come to; it moves from job to job.
    """

    name: ClassVar[str] = "replay"
    since_ms: int
    page: str | None = None
    after: str = "00000000-0000-0000-0000-000000000000"


class SetAside(Job, frozen=True, kw_only=True):
    """What became of a job nobody here can do: kept for a person, with what was sent."""

    name: ClassVar[str] = "set_aside"
    error: str
    sent: bytes


JOBS: dict[str, type[Job]] = {
    kind.name: kind
    for kind in (SyncStep, SyncPage, SyncAll, Subscribe, ApplyWaiting, RetryDead, Erase, Replay)
}
"""The jobs anybody may queue, by the name they are queued under."""

encode = msgspec.msgpack.Encoder(enc_hook=repr).encode


class _Sent(
    Struct, rename={"name": "f", "args": "a", "kwargs": "k", "tries": "t", "queued_ms": "et"}
):
    """A job as arq writes it (arq.jobs.serialize_job)."""

    name: str
    kwargs: dict[str, Any]
    queued_ms: int
    args: list[Any] = []
    tries: int | None = None


_sent = msgspec.msgpack.Decoder(_Sent)


def decode(raw: bytes) -> dict[str, Any]:
    """Return a queued job as arq wants it, with one typed `Job` as its argument.

    Never raises: whatever cannot be understood (another name, wrong arguments, a pickle) becomes
    `SetAside`, where arq would drop it with a line in the log.
    """
    try:
        sent = _sent.decode(raw)
        if sent.name.startswith("cron:"):
            args: list[Any] = []
        elif sent.args:
            raise ValueError("arguments are sent by name")
        elif sent.name not in JOBS:
            raise ValueError("there is no job of this name")
        else:
            args = [msgspec.convert(sent.kwargs, JOBS[sent.name])]
    # msgspec's own errors are ValueErrors; it lets RecursionError through.
    except (ValueError, RecursionError) as error:
        sent = _Sent(name=SetAside.name, kwargs={}, queued_ms=time.time_ns() // 1_000_000)
        args = [SetAside(error=str(error), sent=raw)]
    place = sent.kwargs.get(tracing.CARRIER)
    carried = {tracing.CARRIER: place} if isinstance(place, str) else {}
    return {"f": sent.name, "a": args, "k": carried, "t": sent.tries, "et": sent.queued_ms}


def decode_again(name: str, sent: bytes) -> Job:
    """Return the job that a dead letter holds, by its name or whole; raises Unreadable."""
    try:
        job = (
            decode(sent)["a"][0]
            if name == SetAside.name
            else msgspec.msgpack.decode(sent, type=JOBS[name])
        )
    except (KeyError, IndexError, ValueError, RecursionError) as error:
        raise Unreadable(f"This is no job: {type(error).__name__}") from error
    if isinstance(job, SetAside):
        raise Unreadable(job.error)
    return cast("Job", job)


def connect(pool: ConnectionPool) -> ArqRedis:
    """Return arq's client over a pool that has timeouts; jobs travel as MessagePack."""
    arq = ArqRedis(
        connection_pool=pool,
        job_serializer=encode,
        job_deserializer=decode,
        default_queue_name=LATER,
        expires_extra_ms=int(EXPIRES.total_seconds() * 1000),
    )
    # A pool that is given is otherwise left open by aclose().
    arq.auto_close_connection_pool = True
    return arq


class Waiting(Struct, frozen=True, kw_only=True):
    """A queue's jobs: `due` since `oldest` (seconds), `deferred` until later."""

    due: int
    deferred: int
    oldest: float | None


class Queue:
    """Where jobs are put."""

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis

    async def put(self, job: Job, *, queue: str = LATER, after: timedelta | None = None) -> str:
        """Queue a job and return its id.

        Ids are never reused: arq ignores a job whose id is known, also while it runs, and would
        lose a wake-up so. Doing the same twice is harmless instead. Raises Unavailable where arq
        says that the id is known: it says so too when its connection ends before the job is taken.
        """
        job_id = f"{queue}:{job.name}:{uuid4().hex}"
        arguments = {**asdict(job), **tracing.carried()}
        queued = await self._redis.enqueue_job(
            job.name, _job_id=job_id, _queue_name=queue, _defer_by=after, **arguments
        )
        if queued is None:
            raise Unavailable("Redis ended the connection before it took the job.")
        return job_id

    async def welcome(self, page: str, *, sync: bool) -> None:
        """Ask for what waits for the Page with Facebook's id `page`: its webhooks, and a sync."""
        waiting = ApplyWaiting(page=page)
        await self.put(waiting, queue=NOW)
        # Who looked a moment ago takes the Page for unknown for another second.
        await self.put(waiting, after=timedelta(seconds=5))
        if sync:
            await self.put(SyncPage(page=page), queue=NOW)

    async def waiting(self, queue: str) -> Waiting:
        """Return what waits in a queue; one that runs waits there until it has ended."""
        now_ms = time.time() * 1000
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.zcount(queue, "-inf", now_ms)
            pipe.zcard(queue)
            pipe.zrange(queue, 0, 0, withscores=True)
            due, everything, first = await pipe.execute()
        oldest = (now_ms - first[0][1]) / 1000 if due and first else None
        return Waiting(due=due, deferred=everything - due, oldest=oldest)
