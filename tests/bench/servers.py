"""The PostgreSQL and the Valkey that everybody shares, one after the other."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncpg
from msgspec import Struct

from deploy.local import servers as local
from shared.redis import connect
from shared.store.migrate import migrate
from tests.bench.processes import cpu_seconds, parent
from tests.stack import ROOT

KEPT = ROOT / "build" / "bench"
"""Where logs and figures are kept."""


class Servers(Struct, frozen=True):
    """Two servers by their addresses and the pids of their first processes."""

    postgres: str
    redis: str
    pids: tuple[int, int]
    folder: Path = KEPT

    async def fresh(self, name: str = "bench") -> str:
        """Empty Valkey, make an empty database; return its DSN."""
        redis = connect(self.redis)
        await redis.flushall()
        await redis.aclose()
        admin = await asyncpg.connect(self.postgres)
        await admin.execute(f'drop database if exists "{name}" with (force)')
        await admin.execute(f'create database "{name}"')
        await admin.execute("checkpoint")
        await admin.close()
        return self.postgres.replace("/postgres?", f"/{name}?")

    async def migrated(self, name: str = "bench") -> str:
        """The same, with Pagewire's tables."""
        database = await self.fresh(name)
        await migrate(database)
        return database

    def cpu_seconds(self) -> float:
        return sum(map(cpu_seconds, self.pids))


@contextmanager
def opened() -> Iterator[Servers]:
    """Run both, waiting for the disk, on data that is gone afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pagewire-bench-")))
        folder.chmod(0o755)  # lest the data live elsewhere, and stay
        with local.postgres(folder) as postgres:
            asyncio.run(_track_commits(postgres))
        KEPT.mkdir(parents=True, exist_ok=True)
        postgres = stack.enter_context(local.postgres(folder))
        redis = stack.enter_context(local.redis(folder))
        yield Servers(postgres, redis, asyncio.run(_pids(postgres, redis)))


async def _track_commits(postgres: str) -> None:
    """Let PostgreSQL keep when each transaction was committed: the same clock for everybody."""
    connection = await asyncpg.connect(postgres)
    await connection.execute("alter system set track_commit_timestamp = on")
    await connection.close()


async def _pids(postgres: str, redis: str) -> tuple[int, int]:
    connection, client = await asyncpg.connect(postgres), connect(redis)
    try:
        return parent(connection.get_server_pid()), (await client.info("server"))["process_id"]
    finally:
        await connection.close()
        await client.aclose()
