"""A job that is asked for again while it runs is run again: no wake-up is lost.

arq ignores a job whose id is known, until some time after it has ended. Ours have ids of their own.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from arq import ArqRedis

from shared import queue
from shared.queue import NOW, ApplyWaiting, Queue
from shared.redis import connect
from shared.store.database import Database
from shared.tasks import end
from tests.faults.length import only_long, scaled
from tests.faults.report import Report
from worker import main
from worker.jobs import Jobs
from worker.main import Parts

ROUNDS, PAGES = scaled(10_000, 500), 20

pytestmark = [only_long, pytest.mark.timeout(600)]


class Pages:
    """Pages on which things happen; a run sees what has happened before it looks."""

    def __init__(self, dice: random.Random) -> None:
        self.happened: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.running: Counter[str] = Counter()
        self.asked_while_running = 0
        self._dice = dice

    async def run(self, job: ApplyWaiting) -> None:
        self.running[job.page] += 1
        await asyncio.sleep(self._dice.uniform(0, 0.01))
        looked = self.happened[job.page]
        await asyncio.sleep(self._dice.uniform(0, 0.01))
        self.seen[job.page] = max(self.seen[job.page], looked)
        self.running[job.page] -= 1

    async def happen(self, asked: Queue, page: str, times: int) -> None:
        """Let things happen on a Page one after the other, most of them while it is being run."""
        for _ in range(times):
            self.happened[page] += 1
            self.asked_while_running += self.running[page] > 0
            await asked.put(ApplyWaiting(page=page), queue=NOW)
            await asyncio.sleep(self._dice.uniform(0, 0.02))

    def all_seen(self) -> bool:
        return self.seen == self.happened


@pytest.fixture
async def arq(redis_url: str) -> AsyncIterator[ArqRedis]:
    client = queue.connect(connect(redis_url, size=40).connection_pool)
    yield client
    await client.aclose()
    await client.connection_pool.disconnect()


async def test_what_happens_while_a_page_is_being_run_is_seen(
    arq: ArqRedis, database: str, report: Report
) -> None:
    store, stop = Database(database), asyncio.Event()
    pages = Pages(random.Random(report.seed))
    jobs = Jobs({ApplyWaiting: pages.run}, {}, store)
    workers = [
        asyncio.create_task(main._serve_queue(Parts(slot, {}, jobs, arq), NOW, stop))
        for slot in ("one", "two")
    ]
    try:
        await asyncio.gather(
            *(pages.happen(Queue(arq), str(page), ROUNDS // PAGES) for page in range(PAGES))
        )
        async with asyncio.timeout(30):
            while not pages.all_seen():
                await asyncio.sleep(0.05)
    finally:
        stop.set()
        await asyncio.wait(workers, timeout=10)
        await end(workers)
        await store.close()
    assert pages.asked_while_running > ROUNDS // 10
    report.figures["jobs asked for / while the same Page's job ran / unseen"] = (
        f"{ROUNDS:,} / {pages.asked_while_running:,} / 0"
    )
