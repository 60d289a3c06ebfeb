"""What arq and redis-py would lose, double or hold up, and the line of ours that answers it.

Each of these fails when the line is taken away, and tells when arq changes. Retries, tries, stops
and restarts are in test_jobs.py; https://github.com/python-arq/arq, 0.28.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared import queue
from shared.errors import Unavailable
from shared.queue import EXPIRES, LATER, NOW, ApplyWaiting, Queue
from shared.redis import connect
from tests.integration.worker.test_jobs import Bench, bench, until
from worker import main, supervise
from worker.jobs import LONGEST, Jobs
from worker.main import Parts

__all__ = ["bench"]  # the fixture


async def stopped(stop: asyncio.Event, *running: "asyncio.Task[None]") -> None:
    stop.set()
    await asyncio.gather(*running)


async def test_the_lock_of_a_killed_worker_holds_a_job_up_for_little_more_than_it_may_take(
    bench: Bench,
) -> None:
    """The lock lives as long as the longest of all functions may run, and ten seconds."""
    going, go_on, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(_: Any) -> None:
        going.set()
        await go_on.wait()

    running = await bench.working(work, stop)
    job_id = await bench.queue.put(ApplyWaiting(page="1"), queue=NOW)
    await going.wait()
    left = await bench.arq.pttl(f"arq:in-progress:{job_id}")
    go_on.set()
    await stopped(stop, running)
    assert 0 < left <= (LONGEST + 10) * 1000


async def test_a_job_waits_for_a_worker_longer_than_a_day(bench: Bench) -> None:
    job_id = await bench.queue.put(ApplyWaiting(page="1"))
    left = await bench.arq.pttl(f"arq:job:{job_id}")
    assert timedelta(milliseconds=left) > EXPIRES - timedelta(minutes=1)


async def test_jobs_that_run_elsewhere_do_not_hide_those_behind_them(bench: Bench) -> None:
    """Running jobs stay at the head of the queue, and arq looks at so many only."""
    done, stop = [], asyncio.Event()

    async def work(job: Any) -> None:
        done.append(job)

    for number in range(150):
        await bench.arq.set(f"arq:in-progress:{number}", b"1", ex=60)
        await bench.arq.zadd(NOW, {str(number): 1})
    running = await bench.working(work, stop)
    await bench.queue.put(ApplyWaiting(page="1"), queue=NOW)
    await until(lambda: done)
    await stopped(stop, running)


async def test_a_silent_redis_is_given_up(bench: Bench, tmp_path: Path) -> None:
    """arq's own pool has no timeout: it would wait for ever."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent"))
        silent.listen()
        pool = connect(f"unix://{tmp_path / 'silent'}", timeout=0.2).connection_pool
        async with asyncio.timeout(5):
            with pytest.raises(Exception, match=r"[Tt]imeout"):
                await Queue(queue.connect(pool)).put(ApplyWaiting(page="1"))
        await pool.disconnect()


async def test_a_job_that_redis_did_not_take_is_not_taken_for_queued(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """arq says "known already" when its connection is lost between WATCH and EXEC."""

    async def lost(*_: Any, **__: Any) -> None:
        return None

    monkeypatch.setattr(bench.arq, "enqueue_job", lost)
    with pytest.raises(Unavailable):
        await bench.queue.put(ApplyWaiting(page="1"))


async def test_callers_who_give_up_take_no_connection_with_them(redis_url: str) -> None:
    """redis-py 5 loses a connection with each WATCH that is cancelled at the wrong moment."""
    client = queue.connect(connect(redis_url, size=2, timeout=1.0).connection_pool)
    jobs = Queue(client)
    for number in range(200):
        asking = asyncio.create_task(jobs.put(ApplyWaiting(page="1")))
        for _ in range(number % 40):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking})
    async with asyncio.timeout(10):
        await asyncio.gather(*(jobs.put(ApplyWaiting(page="1")) for _ in range(4)))
    await client.connection_pool.disconnect()


@pytest.fixture
async def ticks(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[float]]:
    """When a cron of every second was run by two workers."""
    monkeypatch.setattr("worker.jobs.EVERY", {"look": timedelta(seconds=1)})
    found: list[float] = []

    async def look() -> None:
        found.append(time.time())

    stop = asyncio.Event()
    running = []
    for slot in ("one", "two"):
        jobs = Jobs({}, {"look": look}, bench.database)
        parts = Parts(slot=slot, ingests={}, jobs=jobs, arq=bench.arq)

        async def serve(parts: Parts = parts) -> None:
            await main._serve_queue(parts, LATER, stop)

        running.append(asyncio.create_task(supervise.keep({"jobs": serve}, stop)))
    yield found
    await stopped(stop, *running)


async def test_a_tick_is_run_by_one_of_two_workers(ticks: list[float]) -> None:
    """Ticks may be late; there are no more of them than seconds."""
    began = time.time()
    await until(lambda: len(ticks) >= 6)
    assert len(ticks) <= time.time() - began + 2


def test_nothing_of_ours_knows_pickle() -> None:
    """Whoever can write to Redis could run code by it."""
    root = Path(main.__file__).parents[1]
    parts = ("ingress", "worker", "shared")
    sources = [path for part in parts for path in (root / part).rglob("*.py")]
    assert len(sources) > 50
    assert [path.name for path in sources if "import pickle" in path.read_text()] == []
    settings = main._arq_settings(NOW)
    assert settings["job_serializer"] is queue.encode
    assert settings["job_deserializer"] is queue.decode
