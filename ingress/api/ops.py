"""How everything does, for the ops page: all processes' numbers, jobs, crons, what is wrong."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec
from aiohttp import web
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ingress.api.callers import Caller
from ingress.api.directory import Directory
from ingress.api.hub import Client, Hub
from ingress.api.jobs import Jobs
from ingress.api.numbers import STEP, Numbers
from ingress.api.problems import Problem
from ingress.api.routes import EVENT_STREAM, endpoint
from ingress.api.shapes import (
    Alert,
    Arrival,
    CronTask,
    History,
    JobKind,
    JobQueue,
    Overview,
    Process,
    Strip,
)
from ingress.api.streams import Streams, event
from shared import heartbeat, log
from shared.cache import Cache
from shared.errors import Unavailable
from shared.heartbeat import Beat
from shared.queue import LATER, NOW, Queue, Waiting
from shared.store import dead, overview
from shared.store.database import Database, is_transient
from shared.store.feed import FeedChange
from shared.store.pages import Page

_log = log.get(__name__)

_BACKLOG_SECONDS = 60


class Ops:
    """Operations."""

    def __init__(
        self,
        database: Database,
        redis: Redis,
        cache: Cache,
        directory: Directory,
        jobs: Jobs,
        queue: Queue,
        hub: Hub,
        streams: Streams,
    ) -> None:
        self._database = database
        self._redis = redis
        self._cache = cache
        self._directory = directory
        self._jobs = jobs
        self._queue = queue
        self._hub = hub
        self._streams = streams
        self._numbers = Numbers()
        self._beats: list[Beat] = []
        self._queues: list[JobQueue] = []
        self._strip: Strip | None = None

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self._look()
            except Exception as error:
                _log.warning("ops_unreadable", error=type(error).__name__)
            await asyncio.sleep(STEP)

    @endpoint("GET", "/ops", scope="read")
    async def show(self, caller: Caller) -> Overview:
        """Show how everything does."""
        _require_all(caller)
        strip = self._strip or await self._look()
        return Overview(
            now=datetime.now(UTC),
            strip=strip,
            workers=[_process(beat) for beat in self._beats if beat.alive],
            jobs=list((await self._jobs.listing(None)).values()),
            queues=self._queues,
            kinds=_kinds(self._numbers),
            cron=_crons(self._numbers, datetime.now(UTC)),
            alerts=alerts(
                strip, await self._directory.listing(None), in_memory=self._cache.in_memory
            ),
        )

    @endpoint("GET", "/ops/history", scope="read")
    async def history(self, caller: Caller) -> History:
        """Show the numbers of the last fifteen minutes, as this process saw them."""
        _require_all(caller)
        return History(step=STEP, series=self._numbers.history())

    @endpoint(
        "GET",
        "/ops/events",
        scope="read",
        answers={200: Arrival},
        content_type=EVENT_STREAM,
    )
    async def events(self, caller: Caller, request: web.Request) -> web.StreamResponse:
        """Follow what comes in, as server-sent events `item`: kinds, never what people wrote."""
        _require_all(caller)
        client = Client(None, _arrivals)
        self._hub.join(client)
        try:
            return await self._streams.serve(request, client)
        finally:
            self._hub.leave(client)

    async def _look(self) -> Strip:
        try:
            self._beats = await heartbeat.beats(self._redis)
            self._queues = [_queue(name, await self._queue.waiting(name)) for name in (NOW, LATER)]
        except (RedisError, OSError):
            self._beats, self._queues = [], []
        alive = [beat for beat in self._beats if beat.alive]
        self._numbers.take(alive)
        try:
            runs = await overview.open_runs(self._database, None)
            letters = sum(group.count for group in await dead.groups(self._database))
        except Exception as error:
            if not (isinstance(error, Unavailable) or is_transient(error)):
                raise
            runs, letters = None, None
        self._strip = _strip(self._numbers, alive, runs, letters)
        self._numbers.remember(self._strip)
        return self._strip


def alerts(strip: Strip, pages: Sequence[Page], *, in_memory: bool) -> list[Alert]:
    """Return what is wrong, the worst first."""
    found: list[Alert] = []

    def tell(level: Literal["warning", "error"], text: str, fix: str) -> None:
        found.append(Alert(level=level, text=text, fix=fix))

    if not strip.workers_alive:
        tell("error", "No worker is running: webhooks wait in the backlog.", "python -m worker")
    elif (strip.backlog_age_seconds or 0) > _BACKLOG_SECONDS:
        text = f"The oldest webhook in the backlog waits for {strip.backlog_age_seconds:.0f} s."
        tell("error", text, "Start more workers, and look at their logs.")
    for page in pages:
        if page.status == "parked":
            text = f"{page.name} is parked: {page.status_reason}"
            tell("error", text, f"pagewire page show {page.facebook_page_id}")
    if in_memory:
        tell("warning", "Redis does not answer: reads cost a query each.", "pagewire doctor")
    if strip.durability_level is not None and strip.durability_level < 3:
        text = "Redis may lose acknowledged webhooks when the power fails."
        tell("warning", text, "Set appendonly yes and appendfsync always in its configuration.")
    if strip.dead_letters:
        text = f"{strip.dead_letters:.0f} dead letters wait for a decision."
        tell("warning", text, "pagewire dead list")
    return found


def _require_all(caller: Caller) -> None:
    if caller.pages is not None:
        raise Problem(403, "This shows all Pages: it needs a key that sees all of them.")


def _strip(
    numbers: Numbers,
    alive: Sequence[Beat],
    runs: overview.OpenRuns | None,
    letters: int | None,
) -> Strip:
    hits = numbers.grown("pagewire_cache_reads_total", outcome="hit")
    reads = hits + numbers.grown("pagewire_cache_reads_total", outcome="miss")

    def ms(name: str, part: float, **labels: str) -> float | None:
        seconds = numbers.quantile(name, part, **labels)
        return None if seconds is None else round(seconds * 1000, 1)

    return Strip(
        events_per_second=numbers.rate("pagewire_ingest_items_total"),
        ack_p50_ms=ms("pagewire_webhook_seconds", 0.5),
        ack_p99_ms=ms("pagewire_webhook_seconds", 0.99),
        visible_p50_ms=ms("pagewire_visible_seconds", 0.5, stage="announced"),
        visible_p95_ms=ms("pagewire_visible_seconds", 0.95, stage="announced"),
        visible_p99_ms=ms("pagewire_visible_seconds", 0.99, stage="announced"),
        backlog_length=max(numbers.gauges("pagewire_backlog_unapplied"), default=None),
        backlog_age_seconds=max(
            numbers.gauges("pagewire_backlog_oldest_unapplied_seconds"), default=None
        ),
        jobs_queued=None if runs is None else runs.queued,
        jobs_running=None if runs is None else runs.running,
        cache_hit_rate=hits / reads if reads else None,
        pool_in_use=sum(numbers.gauges("pool_in_use")),
        pool_max=sum(numbers.gauges("pool_max")),
        dead_letters=letters,
        workers_alive=sum(beat.kind == "worker" for beat in alive),
        durability_level=min(_durability(alive), default=None),
    )


def _durability(alive: Iterable[Beat]) -> Iterable[float]:
    """Yield what each door found; in a process without one the gauge was never set."""
    for beat in alive:
        told = {sample.name: sample.value for sample in beat.samples}
        if "pagewire_backlog_usable" in told:
            yield told["pagewire_durability_level"]


def _process(beat: Beat) -> Process:
    return Process(
        name=beat.name,
        kind=beat.kind,
        host=beat.host,
        pid=beat.pid,
        version=beat.version,
        started_at=datetime.fromtimestamp(beat.started_at, UTC),
        last_beat_at=datetime.fromtimestamp(beat.at, UTC),
        rss_bytes=beat.rss_bytes,
    )


def _queue(name: str, waiting: Waiting) -> JobQueue:
    return JobQueue(
        name=name,
        due=waiting.due,
        deferred=waiting.deferred,
        oldest_seconds=None if waiting.oldest is None else round(waiting.oldest, 1),
    )


def _kinds(numbers: Numbers) -> list[JobKind]:
    """Return what became of each kind of job; the endings are those of `worker/outcome.py`."""
    ended: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for labels, count in numbers.by_labels("pagewire_job_seconds_count").items():
        told = dict(labels)
        ended[told["name"]][told["ending"]] += count
    seconds: dict[str, float] = defaultdict(float)
    for labels, took in numbers.by_labels("pagewire_job_seconds_sum").items():
        seconds[dict(labels)["name"]] += took
    return [
        JobKind(
            name=name,
            done=int(endings["Done"]),
            again=int(endings["RetryIn"] + endings["Snooze"]),
            given_up=int(endings["DeadLetter"] + endings["Park"]),
            mean_ms=round(1000 * seconds[name] / sum(endings.values()), 1),
        )
        for name, endings in sorted(ended.items())
    ]


def _crons(numbers: Numbers, now: datetime) -> list[CronTask]:
    """Return the crons of the workers; each runs at the multiples of its rhythm."""
    last = numbers.labelled("pagewire_cron_last_run_timestamp_seconds", "cron")
    tasks = []
    for name, every in sorted(numbers.labelled("pagewire_cron_every_seconds", "cron").items()):
        ran = last.get(name)
        tasks.append(
            CronTask(
                name=name,
                last_run_at=datetime.fromtimestamp(ran, UTC) if ran else None,
                next_run_at=datetime.fromtimestamp(
                    (math.floor(now.timestamp() / every) + 1) * every, UTC
                ),
            )
        )
    return tasks


def _arrivals(change: FeedChange, _: str) -> bytes:
    return b"".join(_frames(change))


def _frames(change: FeedChange) -> Iterable[bytes]:
    for kind in change.kinds:
        arrival = Arrival(
            at=change.at,
            page_id=change.page_id,
            participant_id=change.participant_id,
            conversation_id=change.conversation_id,
            kind=kind,
        )
        yield event("item", msgspec.json.encode(arrival))
