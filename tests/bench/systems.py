"""What is measured: Pagewire, its peers and the bare handler, each started on tables of its own."""

import asyncio
import contextlib
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
from msgspec import Struct

from deploy.local import ports
from tests.bench.figures import Figures
from tests.bench.processes import Program, cpu_seconds
from tests.bench.servers import Servers
from tests.bench.traffic import PAGES
from tests.stack import ROOT, SECRET, Stack

PEERS = Path(__file__).parent / "peers"
CELERY = ROOT / ".venv-bench" / "bin"
BULLMQ = PEERS / "bullmq"


class Cpu(Struct, frozen=True):
    """CPU seconds so far: of a system's processes, and of PostgreSQL and Valkey."""

    own: float
    stores: float

    def per_1000(self, since: "Cpu", events: int) -> Figures:
        return {
            "cpu_s_per_1000": 1000 * (self.own - since.own) / events,
            "stores_cpu_s_per_1000": 1000 * (self.stores - since.stores) / events,
        }


class Running(Struct):
    """A started system: where it listens, where its rows are, who works for it."""

    servers: Servers
    port: int
    database: str
    web: Program
    idle: list[Program]
    workers: list[Program] = []

    def start_workers(self, count: int = 1) -> None:
        for program in self.idle[:count]:
            program.start()
            self.workers.append(program)
        del self.idle[:count]

    def cpu(self, asking: int | None = None) -> Cpu:
        """Count CPU seconds, without those of the backend that only serves the follower."""
        own = sum(cpu_seconds(program.pid) for program in [self.web, *self.workers])
        return Cpu(own, self.servers.cpu_seconds() - (cpu_seconds(asking) if asking else 0))

    def stop(self) -> None:
        for program in [self.web, *self.workers]:
            program.stop()


class System(Struct, frozen=True):
    """A system by its name and its commands; `needs` says what to run it takes."""

    name: str
    web: list[str | Path]
    worker: list[str | Path] | None = None
    needs: Path | None = None

    @property
    def is_ours(self) -> bool:
        return self is OURS

    @contextlib.asynccontextmanager
    async def running(self, servers: Servers, **settings: str) -> AsyncIterator[Running]:
        """Start its web process on empty tables, wait until it listens; end everything after."""
        database = await self._tables(servers)
        port = ports.any_free("127.0.0.1")
        environment = _environment(database, servers.redis, port) | settings
        log = servers.folder / f"{self.name}.log"
        it = Running(
            servers,
            port,
            database,
            Program(self.web, environment, log),
            [Program(self.worker, environment, log) for _ in range(2)] if self.worker else [],
        )
        it.web.start()
        try:
            await _listens(port)
            yield it
        finally:
            it.stop()

    async def _tables(self, servers: Servers) -> str:
        database = await (servers.migrated() if self.is_ours else servers.fresh())
        connection = await asyncpg.connect(database)
        if self.is_ours:
            sql = "insert into facebook_pages (facebook_page_id, name) select id, id"
        else:
            await connection.execute((PEERS / "schema.sql").read_text())
            sql = "insert into pages select id"
        await connection.execute(f"{sql} from unnest($1::text[]) id", PAGES)
        await connection.close()
        return database


OURS = System("pagewire", [sys.executable, "-m", "ingress"], [sys.executable, "-m", "worker"])
BARE = System("bare handler", [sys.executable, "-m", "tests.bench.peers.bare"])
UNSTORED = System("handler without a store", [sys.executable, "-m", "tests.bench.peers.unstored"])
_ARQ: list[str | Path] = [sys.executable, "-m", "tests.bench.peers.arq_per_event"]
_TASKS = "tests.bench.peers.celery_peer"
_CELERY_OPTIONS = "--concurrency=4 --without-gossip --without-mingle --without-heartbeat"
ORIGINAL = System("original", [sys.executable, "-m", "tests.bench.peers.original"])
PEER_SYSTEMS = [
    ORIGINAL,
    System("arq-per-event", [*_ARQ, "web"], [*_ARQ, "worker"]),
    System(
        "celery",
        [CELERY / "uvicorn", f"{_TASKS}:web", "--log-level=warning"],
        [CELERY / "celery", "-A", f"{_TASKS}:tasks", "worker", *_CELERY_OPTIONS.split()],
        needs=CELERY / "celery",
    ),
    System(
        "bullmq",
        ["node", BULLMQ / "web.js"],
        ["node", BULLMQ / "worker.js"],
        needs=BULLMQ / "node_modules" / ".package-lock.json",
    ),
]


def available() -> list[System]:
    """Pagewire and the peers that can be run here; says which cannot."""
    for system in PEER_SYSTEMS:
        if not _can_run(system):
            print(f"Skipped: {system.name}: {system.needs} is missing.", file=sys.stderr)
    return [OURS, *filter(_can_run, PEER_SYSTEMS)]


def _can_run(system: System) -> bool:
    return system.needs is None or (
        system.needs.exists() and shutil.which(system.web[0]) is not None
    )


def _environment(database: str, redis: str, port: int) -> dict[str, str]:
    ours = Stack(database, redis, Path(), INGRESS_PORT=str(port), LOG_LEVEL="warning").environment
    return ours | {"APP_SECRET": SECRET, "PORT": str(port), "UVICORN_PORT": str(port)}


async def _listens(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)
