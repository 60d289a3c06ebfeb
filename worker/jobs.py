"""The jobs as arq runs them: each is one piece of work, its ending decided in `outcome.py`.

arq would drop a job on any exception, on its own timeout and after its tries, and prints what it
was given. So nothing but `Retry` ever leaves `run`, its timeout is shorter than arq's, tries are
not counted, and arguments are ids.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, assert_never

from arq import Retry, cron, func
from arq.cron import CronJob
from arq.worker import Function
from msgspec.structs import asdict

from shared import log, metrics, tracing
from shared.queue import JOBS, Job, SetAside, encode
from shared.store.applying import insert_dead_letters
from shared.store.database import Database, is_transient
from shared.store.rows import DeadLetter as Letter
from worker.outcome import DeadLetter, Done, Outcome, Park, RetryIn, Snooze, decide

_log = log.get(__name__)

LONGEST = 60
"""Seconds a job may run. After a kill its lock is held for ten more: it must be short."""

# A number no job reaches: arq deletes a job whose tries are used up, and a deploy uses one up.
TRIES = 1_000_000_000

Work: TypeAlias = Callable[[Any], Awaitable[Outcome | None]]


EVERY: dict[str, timedelta] = {
    "ingest": timedelta(seconds=10),
    "schedule": timedelta(seconds=15),
    "runs": timedelta(seconds=10),
    "words": timedelta(seconds=10),
    "watch": timedelta(seconds=15),
    "trim": timedelta(seconds=30),
    "losses": timedelta(seconds=10),
    "waiting": timedelta(minutes=1),
    "privacy": timedelta(minutes=1),
    "expiry": timedelta(minutes=1),
    "upkeep": timedelta(hours=1),
}
"""The crons and their rhythm; each divides a minute, or is whole minutes that divide an hour."""


class Jobs:
    """The work behind the jobs and crons, as arq finds it in its context under `jobs`."""

    def __init__(
        self,
        works: Mapping[type[Job], Work],
        crons: Mapping[str, Callable[[], Awaitable[object]]],
        database: Database,
    ) -> None:
        self._works = works
        self._crons = crons
        self._database = database

    async def run(self, context: dict[str, Any], job: Job, place: tracing.Place = "") -> None:
        """Do one job, as a part of the trace at `place`; raises nothing but arq's Retry."""
        began = time.perf_counter()
        ending: Outcome
        try:
            async with asyncio.timeout(LONGEST - 5):
                with tracing.joined(job.name, [place], job_id=context["job_id"]):
                    ending = await self._do(job)
        except Exception as error:
            _log.warning("job_failed", job=job.name, error=type(error).__name__)
            ending = decide(
                error,
                passing=is_transient(error),
                tries=context["job_try"],
                age=datetime.now(UTC) - context["enqueue_time"],
                dice=random.random(),  # noqa: S311
            )
        name, took = type(ending).__name__, time.perf_counter() - began
        metrics.job_seconds.labels(job.name, name).observe(took)
        _log.info(
            "job_ended",
            job=job.name,
            job_id=context["job_id"],
            ending=name,
            took_ms=round(took * 1000, 1),
        )
        await self._end(context["job_id"], job, ending)

    async def _do(self, job: Job) -> Outcome:
        if isinstance(job, SetAside):
            return DeadLetter("bad_job", job.error)
        return await self._works[type(job)](job) or Done()

    async def tick(self, name: str) -> None:
        """Run one cron; what goes wrong is tried again at its next tick."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(LONGEST - 5):
                await self._crons[name]()
        except Exception as error:
            _log.warning("cron_failed", cron=name, error=type(error).__name__)
        metrics.cron_seconds.labels(name).observe(time.perf_counter() - began)
        metrics.cron_last.labels(name).set_to_current_time()

    async def _end(self, job_id: str, job: Job, ending: Outcome) -> None:
        match ending:
            case Done() | Park():
                return
            case RetryIn(after):
                raise Retry(defer=after)
            case Snooze(until):
                raise Retry(defer=max(timedelta(), until - datetime.now(UTC)))
            case DeadLetter(reason, error):
                await self._keep(job_id, job, reason, error)
            case _:
                assert_never(ending)

    async def _keep(self, job_id: str, job: Job, reason: str, error: str) -> None:
        letter = Letter(
            source="job",
            reason=reason,
            error=f"{job_id}: {error}",
            object=job.name,
            page_id=None,
            bytes=job.sent if isinstance(job, SetAside) else encode(asdict(job)),
            received_ms=time.time_ns() // 1_000_000,
        )
        async with self._database.transaction() as connection:
            await insert_dead_letters(connection, [letter])


def functions() -> list[Function]:
    """Return one arq function a job name."""
    return [
        func(_run, name=name, timeout=LONGEST, max_tries=TRIES, keep_result=0)
        for name in (*JOBS, SetAside.name)
    ]


def cron_jobs() -> list[CronJob]:
    """Return the crons as arq wants them; arq sees to it that one worker runs each tick."""
    return [_cron_job(name, every) for name, every in EVERY.items()]


async def _run(ctx: dict[Any, Any], *args: Any, **carried: Any) -> None:
    (job,) = args
    await ctx["jobs"].run(ctx, job, carried.get(tracing.CARRIER, ""))


def _cron_job(name: str, every: timedelta) -> CronJob:
    metrics.cron_every.labels(name).set(every.total_seconds())

    async def tick(ctx: dict[Any, Any], *_: Any, **__: Any) -> None:
        await ctx["jobs"].tick(name)

    seconds = int(every.total_seconds())
    times: dict[str, Any] = (
        {"second": set(range(0, 60, seconds))}
        if seconds < 60
        else {"minute": set(range(0, 60, seconds // 60)), "second": 0}
    )
    return cron(tick, name=f"cron:{name}", timeout=LONGEST, keep_result=0, **times)
