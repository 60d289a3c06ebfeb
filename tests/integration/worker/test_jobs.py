"""arq, contained: each habit of its that would lose, double or hang has an answer that holds."""

import asyncio
import inspect
import pickle
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import arq
import pytest
from msgspec import Struct

from deploy.local import servers
from shared import queue
from shared.queue import NOW, ApplyWaiting, Queue, SyncPage
from shared.redis import connect
from shared.store.database import Database
from worker import main, supervise
from worker.jobs import Jobs
from worker.main import Parts
from worker.outcome import Snooze


class Bench(Struct):
    """A queue, and workers that do what a test wants."""

    redis_url: str
    database: Database
    arq: arq.ArqRedis
    queue: Queue

    async def working(
        self, work: Callable[[Any], Awaitable[Any]], stop: asyncio.Event
    ) -> "asyncio.Task[None]":
        jobs = Jobs({ApplyWaiting: work, SyncPage: work}, {}, self.database)
        parts = Parts(slot=f"test-{id(jobs)}", ingests={}, jobs=jobs, arq=self.arq)
        tasks = {"jobs": lambda: main._serve_queue(parts, NOW, stop)}
        return asyncio.create_task(supervise.keep(tasks, stop))

    async def letters(self) -> list[tuple[str, str, bytes]]:
        async with self.database.connection() as connection:
            rows = await connection.fetch("select reason, error, bytes from dead_letters")
        return [tuple(row) for row in rows]

    async def send_raw(self, job_id: str, sent: bytes) -> None:
        """Queue what another service wrote, with the Redis commands of the README."""
        await self.arq.set(f"arq:job:{job_id}", sent, px=60_000)
        await self.arq.zadd(NOW, {job_id: int(time.time() * 1000)})


@pytest.fixture
async def bench(database: str, redis_url: str) -> AsyncIterator[Bench]:
    store = Database(database)
    client = queue.connect(connect(redis_url, size=20).connection_pool)
    yield Bench(redis_url, store, client, Queue(client))
    await client.aclose()
    await client.connection_pool.disconnect()
    await store.close()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while True:
            met = condition()
            if await met if inspect.isawaitable(met) else met:
                return
            await asyncio.sleep(0.01)


async def test_a_job_is_done_with_its_typed_arguments(bench: Bench) -> None:
    done, stop = [], asyncio.Event()

    async def work(job: Any) -> None:
        done.append(job)

    running = await bench.working(work, stop)
    await bench.queue.put(SyncPage(page="1", full=True), queue=NOW)
    await until(lambda: done)
    stop.set()
    await running
    assert done == [SyncPage(page="1", full=True)]
    assert await bench.arq.keys("arq:*") == []


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (pickle.dumps({"f": "sync_page", "a": (), "k": {}, "t": None, "et": 1}), "job-7: "),
        (queue.encode({"f": "nope", "a": [], "k": {}, "t": None, "et": 1}), "no job of this name"),
        (queue.encode({"f": "sync_page", "a": [], "k": {}, "t": None, "et": 1}), "page"),
        (queue.encode({"f": "sync_page", "a": ["1"], "k": {}, "t": None, "et": 1}), "by name"),
        (queue.encode({"f": "sync_page", "a": [], "k": {"page": 1}, "et": 1}), "str"),
        (b"", "expired"),
        (b"\x81" * 100_000, "job-7: "),
    ],
)
async def test_a_job_nobody_understands_is_a_dead_letter_that_names_it(
    bench: Bench, sent: bytes, error: str
) -> None:
    stop, done = asyncio.Event(), []

    async def work(job: Any) -> None:
        done.append(job)

    running = await bench.working(work, stop)
    await bench.send_raw("job-7", sent)

    async def gone() -> bool:
        return await bench.arq.zcard(NOW) == 0

    await until(gone)
    stop.set()
    await running
    assert done == []
    if sent:
        ((reason, said, kept),) = await bench.letters()
        assert reason == "bad_job"
        assert said.startswith("job-7: ")
        assert error in said
        assert kept == sent


async def test_an_exception_is_retried_where_arq_would_drop_the_job(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.outcome._FIRST_RETRY", timedelta(milliseconds=20))
    tries, stop = [], asyncio.Event()

    async def work(job: Any) -> None:
        tries.append(job)
        if len(tries) < 4:
            raise ZeroDivisionError

    running = await bench.working(work, stop)
    await bench.queue.put(ApplyWaiting(page="1"), queue=NOW)
    await until(lambda: len(tries) == 4)
    stop.set()
    await running
    assert await bench.letters() == []


async def test_a_job_that_keeps_failing_is_given_up_by_age_and_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.outcome.GIVE_UP_AFTER", timedelta())
    stop = asyncio.Event()

    async def work(_: Any) -> None:
        raise ZeroDivisionError

    running = await bench.working(work, stop)
    job_id = await bench.queue.put(ApplyWaiting(page="1"), queue=NOW)
    await until(bench.letters)
    stop.set()
    await running
    ((reason, error, kept),) = await bench.letters()
    assert (reason, kept) == ("failed", queue.encode({"page": "1"}))
    assert error.startswith(f"{job_id}: ")
    assert "ZeroDivisionError" in error


async def test_a_snoozed_job_comes_back_when_its_time_has_come(bench: Bench) -> None:
    began, stop = [], asyncio.Event()

    async def work(_: Any) -> Snooze | None:
        began.append(time.monotonic())
        return Snooze(datetime.now(UTC) + timedelta(seconds=0.3)) if len(began) == 1 else None

    running = await bench.working(work, stop)
    await bench.queue.put(ApplyWaiting(page="1"), queue=NOW)
    await until(lambda: len(began) == 2)
    stop.set()
    await running
    assert began[1] - began[0] >= 0.3


async def test_asking_again_while_the_same_job_runs_is_not_ignored(bench: Bench) -> None:
    ended, stop, going, go_on = [], asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(job: Any) -> None:
        going.set()
        await go_on.wait()
        ended.append(job)

    running = await bench.working(work, stop)
    await bench.queue.put(ApplyWaiting(page="1"), queue=NOW)
    await going.wait()
    await bench.queue.put(ApplyWaiting(page="1"), queue=NOW)
    go_on.set()
    await until(lambda: len(ended) == 2)
    stop.set()
    await running


async def test_deploys_burn_no_tries(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job cut off by stop after stop is still done: arq gives up after its fifth try."""
    monkeypatch.setattr(main, "GRACE", 0)
    done = []
    await bench.queue.put(ApplyWaiting(page="1"), queue=NOW)
    for _ in range(6):
        stop, going = asyncio.Event(), asyncio.Event()

        async def cut_off(_: Any, going: asyncio.Event = going) -> None:
            going.set()
            await asyncio.Event().wait()

        running = await bench.working(cut_off, stop)
        await going.wait()
        stop.set()
        await running
        assert await bench.arq.keys("arq:in-progress:*") == []

    async def work(job: Any) -> None:
        done.append(job)

    stop = asyncio.Event()
    running = await bench.working(work, stop)
    await until(lambda: done)
    stop.set()
    await running
    assert await bench.letters() == []


async def test_workers_go_on_when_redis_comes_back(database: str, tmp_path: Path) -> None:
    """arq's loop ends with its first error; ours begins another."""
    store, done, stop = Database(database), [], asyncio.Event()
    tmp_path.chmod(0o755)
    with servers.redis(tmp_path) as url:
        client = queue.connect(connect(url, size=20).connection_pool)
        bench = Bench(url, store, client, Queue(client))

        async def work(job: Any) -> None:
            done.append(job.page)

        running = await bench.working(work, stop)
        await bench.queue.put(ApplyWaiting(page="before"), queue=NOW)
        await until(lambda: done == ["before"])
    with servers.redis(tmp_path):

        async def queued() -> bool:
            try:
                await bench.queue.put(ApplyWaiting(page="after"), queue=NOW)
            except OSError:
                return False
            except Exception as error:
                return "closed" not in str(error) and False
            return True

        await until(queued)
        await until(lambda: "after" in done)
        stop.set()
        await running
        await client.aclose()
        await client.connection_pool.disconnect()
    await store.close()


def test_every_setting_of_ours_is_one_that_arq_reads() -> None:
    """arq drops what it does not know, silently."""
    known = inspect.signature(arq.Worker).parameters
    assert set(main._arq_settings(NOW)) <= set(known)


def test_every_job_anybody_may_queue_has_a_name_of_its_own() -> None:
    assert len(queue.JOBS) == len({kind.name for kind in queue.JOBS.values()})
    assert all(name == kind.name for name, kind in queue.JOBS.items())
