"""The worker's composition root: what a worker process is made of, built once, handed down.

`python -m worker` runs the ingest loops and our arq workers as supervised tasks; each restarts
without the others. `arq worker.main.WorkerSettings` runs the same inside arq's own process.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from arq import ArqRedis, Worker
from msgspec import Struct

from shared import config, garbage, log, queue, tracing
from shared.backlog.inbox import Inbox, InboxReader
from shared.backlog.postgres import open_pool
from shared.backlog.stream import Stream, StreamReader
from shared.cache import Cache
from shared.config import Settings
from shared.crypto import KeyRing
from shared.errors import SettingsError, Unavailable
from shared.facebook.graph.client import connected
from shared.facebook.graph.limits import Budget
from shared.heartbeat import Heartbeat
from shared.queue import (
    LATER,
    NOW,
    ApplyWaiting,
    Erase,
    Job,
    Queue,
    Replay,
    RetryDead,
    Subscribe,
    SyncAll,
    SyncPage,
    SyncStep,
)
from shared.redis import connect
from shared.store import feed, pages, reading, runs
from shared.store.database import Database, is_transient
from shared.store.pages import KnownPages
from shared.store.upkeep import keep_partitions
from shared.tasks import each, end
from shared.watchdog import Watchdog, end_in_time
from worker import jobs, supervise
from worker.effects import Effects
from worker.erase import Erasures
from worker.ingest import Ingest
from worker.jobs import Jobs, Work
from worker.letters import Letters
from worker.losses import Losses
from worker.numbers import Numbers
from worker.replay import Replays
from worker.retention import Expiry, Retention
from worker.slot import Slot
from worker.sync.asking import Graph
from worker.sync.modes import SyncModes
from worker.sync.step import Tools
from worker.sync.storing import Storing
from worker.sync.watch import Watch
from worker.syncs import Syncs
from worker.writing import Writer

Only: TypeAlias = Literal["ingest", "jobs"] | None
WANTS = (
    "database_url",
    "redis_url",
    "facebook_app_id",
    "facebook_app_secrets",
    "token_encryption_keys",
)

RUNS_KEPT = timedelta(days=30)
"""How long the rows of ended syncs are kept for a person to look at."""

GRACE = 8
"""Seconds a stop waits for jobs; what is cut off then runs again elsewhere."""


class Parts(Struct, frozen=True):
    """What a worker process is made of."""

    slot: str
    ingests: dict[str, Ingest]
    jobs: Jobs
    arq: ArqRedis
    numbers: Numbers | None = None
    heartbeat: Heartbeat | None = None


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Parts]:
    """Build the parts and close them again; nothing is connected before it is used."""
    database_url, redis_url = settings.database_url.reveal(), settings.redis_url.reveal()
    async with AsyncExitStack() as stack:
        stack.enter_context(tracing.told("pagewire-worker"))
        slot = Slot("worker")
        stack.callback(slot.release)
        database = Database(
            database_url,
            low=settings.database_pool_min,
            high=settings.database_pool_max,
            writer=True,
        )
        stack.push_async_callback(database.close)
        cache = Cache(connect(settings.cache_redis_url.reveal()))
        stack.push_async_callback(cache.aclose)
        pool = await open_pool(database_url, size=2, patience=5.0)
        stack.push_async_callback(pool.close)
        streams, readers = [], []
        for url in settings.backlog_redis_urls:
            streams.append(stream := Stream(connect(url.reveal())))
            stack.push_async_callback(stream.aclose)
            readers.append(reader := StreamReader(url.reveal(), slot.name))
            stack.push_async_callback(reader.aclose)
        arq = queue.connect(connect(redis_url, size=20).connection_pool)
        stack.push_async_callback(arq.aclose)
        budget_redis = connect(redis_url)
        stack.push_async_callback(budget_redis.aclose)
        client = await stack.enter_async_context(
            connected(
                url=settings.graph_api_url,
                version=settings.graph_api_version,
                app_id=settings.facebook_app_id,
                app_secret=settings.facebook_app_secrets[0],
            )
        )

        effects, retention = Effects(cache), Retention(settings.message_retention)
        writer = Writer(database, KnownPages(database), effects, retention)
        ingests = {
            **{f"stream-{n}": Ingest(reader, writer) for n, reader in enumerate(readers, 1)},
            "inbox": Ingest(InboxReader(pool, slot.name), writer),
        }
        graph = Graph(client, Budget(budget_redis, settings.graph_page_calls_per_second))
        keys, asked = KeyRing(settings.token_encryption_keys), Queue(arq)
        tools = Tools(
            database=database,
            graph=graph,
            keys=keys,
            storing=Storing(database, effects, retention),
            modes=SyncModes(database, settings, retention),
        )
        watch = Watch(database, graph, keys, settings.facebook_app_id)
        syncs = Syncs(tools, asked, watch, settings)
        inbox = Inbox(pool, patience=5.0)
        letters = Letters(database, inbox, asked)
        erasures = Erasures(database, cache)

        async def sweep() -> None:
            await each(*(ingest.drain() for ingest in ingests.values()))

        async def trim() -> None:
            await each(*(stream.trim() for stream in streams))

        async def upkeep() -> None:
            await keep_partitions(database, retention.of_raw(settings.raw_retention))
            await feed.forget(database)
            await runs.forget(database, RUNS_KEPT)
            await stream.forget_gone()

        async def merge_words() -> None:
            await reading.merge_new_words(database)

        async def apply_waiting(job: ApplyWaiting) -> None:
            await letters.apply_waiting(job.page)

        async def retry_dead(job: RetryDead) -> None:
            await letters.retry(job)

        works: dict[type[Job], Work] = {
            SyncStep: syncs.step,
            SyncPage: syncs.page,
            SyncAll: syncs.all,
            Subscribe: syncs.subscribe,
            ApplyWaiting: apply_waiting,
            RetryDead: retry_dead,
            Erase: erasures.erase,
            Replay: Replays(database, writer, asked).step,
        }
        crons: dict[str, Callable[[], Awaitable[object]]] = {
            "ingest": sweep,
            "trim": trim,
            "losses": Losses(database, streams, inbox).look,
            "schedule": syncs.schedule,
            "runs": syncs.wake,
            "watch": syncs.watch,
            "words": merge_words,
            "waiting": letters.apply_waiting,
            "privacy": erasures.answer,
            "expiry": Expiry(database, cache, retention).run,
            "upkeep": upkeep,
        }
        port = settings.metrics_port
        yield Parts(
            slot=slot.name,
            ingests=ingests,
            jobs=Jobs(works, crons, database),
            arq=arq,
            numbers=None if port is None else Numbers(settings.ingress_host, port),
            heartbeat=Heartbeat(
                budget_redis,
                name=slot.name,
                kind="worker",
                numbers=lambda: {"pool_in_use": database.in_use, "pool_max": database.most},
            ),
        )


async def serve(settings: Settings, only: Only) -> None:
    """Run a worker until SIGTERM or SIGINT, then finish what is begun and return.

    Raises SettingsError where a key is missing that Pages' tokens were encrypted with.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    latest = asyncio.ensure_future(end_in_time(stop))
    await require_keys(settings)
    async with build(settings) as parts:
        garbage.search_seldom()
        await supervise.keep(tasks(parts, only, stop), stop)
    latest.cancel()


async def require_keys(settings: Settings) -> None:
    """Raise SettingsError where Pages' tokens want a key that is not among the settings.

    Their syncs would park them, one after the other. While Postgres is away nobody can tell.
    """
    database = Database(settings.database_url.reveal(), high=1)
    keys = KeyRing(settings.token_encryption_keys)
    try:
        stored = await pages.tokens(database)
    except Exception as error:
        if not (is_transient(error) or isinstance(error, Unavailable)):
            raise
        return
    finally:
        await database.close()
    missing = sorted({name for one in stored if (name := keys.lacks(one.token)) is not None})
    if missing:
        raise SettingsError(
            [
                f"TOKEN_ENCRYPTION_KEYS lacks the key {name}, which stored tokens were encrypted "
                "with: add it back, after the current one"
                for name in missing
            ]
        )


def tasks(
    parts: Parts, only: Only, stop: asyncio.Event
) -> dict[str, Callable[[], Awaitable[None]]]:
    """Return what a worker process keeps going, by name."""
    running: dict[str, Callable[[], Awaitable[None]]] = {"watchdog": lambda: Watchdog().run(stop)}
    if only != "jobs":
        for name, ingest in parts.ingests.items():
            running[f"ingest-{name}"] = partial(ingest.run, stop)
    if only != "ingest":
        for name in (NOW, LATER):
            running[f"jobs-{name}"] = partial(_serve_queue, parts, name, stop)
    if parts.numbers:
        running["numbers"] = partial(parts.numbers.serve, stop)
    if parts.heartbeat:
        running["heartbeat"] = partial(parts.heartbeat.run, stop)
    return running


async def _serve_queue(parts: Parts, name: str, stop: asyncio.Event) -> None:
    """Run one arq worker until `stop`; raises when its loop ends, as it does when Redis goes."""
    worker = Worker(
        **_arq_settings(name),
        ctx={"jobs": parts.jobs},
        redis_pool=parts.arq,
        health_check_key=f"{name}:health:{parts.slot}",
        handle_signals=False,
    )
    running = asyncio.create_task(worker.async_run())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        worker.allow_pick_jobs = False
        if worker.tasks:
            await asyncio.wait(worker.tasks.values(), timeout=GRACE)
    finally:
        # A job that is cut off says so to Redis before it ends; `end` waits for it.
        await end([running, stopping, *worker.tasks.values()])


def _arq_settings(name: str) -> dict[str, Any]:
    """Return what an arq worker of ours is built with; each line answers a habit of arq's."""
    return {
        "functions": jobs.functions(),
        # Ticks go to what can wait; arq sees to it that each runs once.
        "cron_jobs": jobs.cron_jobs() if name == LATER else None,
        "queue_name": name,
        "job_deserializer": queue.decode,
        "job_serializer": queue.encode,
        "poll_delay": 0.1 if name == NOW else 0.5,
        "max_jobs": 20,
        # Running jobs stay at the queue's head; a worker must see beyond all the fleet's.
        "queue_read_limit": 1000,
        "job_timeout": jobs.LONGEST,
        # Without a wait, arq's stop leaves locks behind that hold jobs up for minutes.
        "job_completion_wait": GRACE,
        "max_tries": jobs.TRIES,
        # A kept result would block its job id, and holds what nobody reads.
        "keep_result": 0,
        "log_results": False,
        "health_check_interval": 10,
        "expires_extra_ms": int(queue.EXPIRES.total_seconds() * 1000),
        "timezone": UTC,
    }


def _worker_settings() -> type:
    """Return the class that `arq worker.main.WorkerSettings` reads.

    arq's process serves what can wait; everything else a worker does runs beside it.
    """
    settings = config.load(os.environ, wants=WANTS, dotenv=Path(".env"))
    log.configure(settings.log_level, settings.log_format)
    stack, stop = AsyncExitStack(), asyncio.Event()

    async def start(context: dict[str, Any]) -> None:
        # Again: between our import and this, arq's command has set up logs of its own.
        log.configure(settings.log_level, settings.log_format)
        await require_keys(settings)
        parts = await stack.enter_async_context(build(settings))
        context["jobs"] = parts.jobs
        beside = tasks(parts, None, stop)
        del beside[f"jobs-{LATER}"]
        context["beside"] = asyncio.create_task(supervise.keep(beside, stop))

    async def end(context: dict[str, Any]) -> None:
        stop.set()
        await context["beside"]
        await stack.aclose()

    pool = connect(settings.redis_url.reveal(), size=20).connection_pool
    given = {**_arq_settings(LATER), "redis_pool": queue.connect(pool)}
    return type("WorkerSettings", (), {**given, "on_startup": start, "on_shutdown": end})


def __getattr__(name: str) -> Any:
    # Built when arq asks for it: importing this module reads no environment.
    if name == "WorkerSettings":
        return _worker_settings()
    raise AttributeError(name)
