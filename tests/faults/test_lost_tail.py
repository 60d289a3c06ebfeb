"""Postgres comes back without its last transactions, as a standby does that had not got them yet.

The same harm as a disk that lies about its syncs: what was committed is gone, and Redis knows that
it was applied. The data is copied while all of Postgres stands still, which is what a disk's
snapshot holds, and put in the place of the newer data after a crash.
"""

import asyncio
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.backlog.stream import GROUP, KEY
from tests.faults.check import check, reported_lost
from tests.faults.cluster import Cluster, cluster, until
from tests.faults.facebook import Facebook, Ledger, Life
from tests.faults.length import MINUTES, only_long
from tests.faults.nemesis import OTHERS_SHARE, READY_AGAIN, frozen_postgres
from tests.faults.report import Report

PAGES = ["102938475610293"]
ITEMS = 1000
"""Items delivered before the copy, and again after it."""

pytestmark = [only_long, pytest.mark.timeout(600)]


@asynccontextmanager
async def delivering(made: Cluster, ledger: Ledger, seed: int) -> AsyncIterator[None]:
    """Have Facebook deliver meanwhile; afterwards all that was acknowledged is applied."""
    facebook = Facebook(Life(seed, PAGES), made.url, ledger, seed)
    sending = asyncio.create_task(facebook.deliver(6, 60.0))
    try:
        yield
    finally:
        facebook.done = True
        await sending
    await until(made.drained, READY_AGAIN * OTHERS_SHARE, "what came is applied")


async def more(ledger: Ledger, items: int) -> None:
    had = ledger.items

    async def there() -> bool:
        return ledger.items >= had + items

    await until(there, 60, f"{items} more items are acknowledged")


async def copied(made: Cluster, where: Path) -> Path:
    """Copy the data of a Postgres that works, as of one moment, to whom it belongs."""
    await made.sql("checkpoint")
    with frozen_postgres(made):
        await asyncio.to_thread(subprocess.run, ["cp", "-a", made.postgres.data, where], check=True)
    return where


async def test_a_postgres_without_its_tail_gets_it_again_from_the_backlog(
    tmp_path: Path, report: Report
) -> None:
    """The applied entries are still in the stream: set back, its group is given them once more."""
    ledger = Ledger()
    async with cluster() as made:
        await made.command("page", "add", PAGES[0], "--name", "Acme")
        async with delivering(made, ledger, report.seed):
            await more(ledger, ITEMS)
            copy = await copied(made, tmp_path / "standby")
            await more(ledger, ITEMS)
        await fail_over(made, copy)
        lacking = await check(made, ledger.acked, PAGES)
        assert lacking.missing, "the copy lacks nothing"
        if MINUTES:
            await until(lambda: is_noticed(made), 120, "the loss is counted before anybody acts")
        async with delivering(made, ledger, report.seed + 1):
            await more(ledger, ITEMS // 5)
            await made.client.xgroup_setid(KEY, GROUP, "0")
        if MINUTES:
            await until(lambda: is_forgotten(made), 60, "nothing is lost any more")
        verdict = await check(made, ledger.acked, PAGES)
        assert verdict.clean, verdict._replace(missing=[])
        assert verdict.missing == []
        report.faults["postgres_failed_over_without_its_tail"] += 1
        report.acked += verdict.items
        report.figures["bodies a Postgres came back without / still without after the replay"] = (
            f"{len(lacking.missing)} / 0"
        )


async def fail_over(made: Cluster, copy: Path) -> None:
    """Put older data in the place of the newer, as a standby takes the place of its primary."""
    await made.postgres.end(signal.SIGKILL)
    shutil.rmtree(made.postgres.data)
    shutil.move(copy, made.postgres.data)
    await made.postgres.start()
    await until(made.answers, 30, "the ingress is ready")


async def is_noticed(made: Cluster) -> bool:
    return await reported_lost(made) > 0


async def is_forgotten(made: Cluster) -> bool:
    return await reported_lost(made) == 0
