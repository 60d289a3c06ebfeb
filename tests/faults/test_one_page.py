"""Eight workers that write one Page's conversations at the same moment get in nobody's way."""

import asyncio

import pytest

from shared.backlog.stream import GROUP, KEY
from tests.faults.check import check
from tests.faults.cluster import Cluster, cluster, until
from tests.faults.facebook import Facebook, Ledger, Life
from tests.faults.length import only_long, scaled
from tests.faults.nemesis import OTHERS_SHARE, READY_AGAIN
from tests.faults.report import Report

PAGES = ["102938475610293"]
WORKERS, ITEMS = 8, scaled(40_000, 2_500)

pytestmark = [only_long, pytest.mark.timeout(300)]


async def test_eight_workers_on_one_page_agree(report: Report) -> None:
    """Each is given a body at a time, so that all of them write to the same conversations.

    One that is chosen as a deadlock's victim writes again: that is rare, and counted.
    """
    ledger = Ledger()
    async with cluster() as made:
        await made.command("page", "add", PAGES[0], "--name", "Acme")
        workers = [
            made.stack.process(f"worker-{number}", "worker", "--only", "ingest")
            for number in range(WORKERS - 2)
        ]
        try:
            for worker in workers:
                worker.start()
            await until(lambda: _all_wait(made), 60, "the workers wait for work")
            facebook = Facebook(Life(report.seed, PAGES), made.url, ledger, report.seed)
            delivering = asyncio.create_task(facebook.deliver(24, 120.0))
            await until(lambda: _some(ledger), 240, "Facebook delivers")
            facebook.done = True
            await delivering
            await until(made.drained, READY_AGAIN * OTHERS_SHARE, "the backlog is empty")
            assert all(one["inactive"] >= 0 for one in await _consumers(made)), "one took nothing"
        finally:
            await asyncio.gather(*(made.stop(worker) for worker in workers))
        verdict = await check(made, ledger.acked, PAGES)
        assert verdict.clean, verdict._replace(missing=[])
        [(deadlocks,)] = await made.sql("select sum(deadlocks)::int from pg_stat_database")
        report.acked += verdict.items
        report.figures["deadlocks among eight workers on one Page"] = deadlocks


async def _consumers(made: Cluster) -> list[dict[str, int]]:
    consumers: list[dict[str, int]] = await made.client.xinfo_consumers(KEY, GROUP)
    return consumers


async def _all_wait(made: Cluster) -> bool:
    return len(await _consumers(made)) == WORKERS


async def _some(ledger: Ledger) -> bool:
    return ledger.items >= ITEMS
