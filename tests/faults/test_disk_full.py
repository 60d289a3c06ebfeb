"""A disk that is full stops one store, no acknowledgement, and loses nothing once it has room."""

import asyncio
import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.faults.check import check
from tests.faults.cluster import Cluster, Server, cluster, until
from tests.faults.facebook import Facebook, Ledger, Life
from tests.faults.length import only_long
from tests.faults.nemesis import OTHERS_SHARE, READY_AGAIN
from tests.faults.report import Report

PAGES = ["102938475610293"]
LEFT = 1 << 20
"""Bytes that are free when the disk is as good as full."""

pytestmark = [only_long, pytest.mark.timeout(600)]


class Disk:
    """A small file system in memory, which can be filled and given room again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        with self._ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 16))
        with self._ballast.open("r+b") as file:
            file.truncate(max(0, self._ballast.stat().st_size - LEFT))

    def free(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk() -> Iterator[Disk]:
    with tempfile.TemporaryDirectory(prefix="pagewire-disk-") as name:
        # As root, PostgreSQL runs as another account: it must be able to get there.
        folder = Path(name)
        folder.chmod(0o755)
        small = ["mount", "-t", "tmpfs", "-o", "size=400m,mode=755", "tmpfs", folder]
        if subprocess.run(small, capture_output=True, check=False).returncode:
            pytest.skip("needs the right to mount a small file system")
        try:
            yield Disk(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("store", ["redis", "postgres"])
async def test_a_full_disk_stops_one_store_and_nothing_else(
    store: str, disk: Disk, report: Report
) -> None:
    ledger = Ledger()
    async with cluster(**{store: disk.folder}) as made:
        await made.command("page", "add", PAGES[0], "--name", "Acme")
        facebook = Facebook(Life(report.seed, PAGES), made.url, ledger, report.seed)
        delivering = asyncio.create_task(facebook.deliver(6, 60.0))
        try:
            await until(lambda: _some(ledger, 500), 60, "Facebook delivers")
            disk.fill()
            server: Server = getattr(made, store)
            await until(lambda: _is_full(made, store), 120, f"{store} has no room left")
            stopped, had = time.monotonic(), ledger.items
            await until(lambda: _some(ledger, had + 1000), 60, "Facebook delivers all the same")
            # An answer may have been on its way in the first second.
            assert not ledger.not_ok(stopped + 1, time.monotonic())
            disk.free()
            if not server.running:
                await server.start()
        finally:
            facebook.done = True
            await delivering
        took = await until(made.drained, READY_AGAIN * OTHERS_SHARE, "the backlog is empty")
        report.recovered(f"{store}_disk_full", took)
        verdict = await check(made, ledger.acked, PAGES)
        assert verdict.clean, verdict._replace(missing=[])
        report.acked += verdict.items


async def _some(ledger: Ledger, items: int) -> bool:
    return ledger.items >= items


async def _is_full(made: Cluster, store: str) -> bool:
    if not getattr(made, store).running:
        return True  # Redis ends rather than to acknowledge what it cannot sync
    if store == "redis":
        return False
    try:
        await made.sql("create table if not exists ballast (bytes text)")
        await made.sql(
            "insert into ballast select string_agg(md5(n::text || random()), '')"
            " from generate_series(1, 30000) n"
        )
    except (
        asyncpg.DiskFullError,
        OSError,
        asyncpg.PostgresConnectionError,
        asyncpg.CannotConnectNowError,
    ):
        return True
    return False
