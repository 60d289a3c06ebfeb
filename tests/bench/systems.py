"""What is measured: Pagewire, its peers and the bare handler, each started on tables of its own."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import asyncpg
from msgspec import Struct

from deploy.local import ports
from shared.redis import connect
from shared.store.migrate import migrate
from tests.bench.traffic import PAGES
from tests.stack import ROOT, SECRET, Stack

PEERS = Path(__file__).parent / "peers"
CELERY = ROOT / ".venv-bench" / "bin"
BULLMQ = PEERS / "bullmq"


class Servers(Struct, frozen=True):
    """The PostgreSQL and Valkey everybody shares, one after the other."""

    postgres: str
    redis: str
    folder: Path

    async def fresh(self, name: str) -> str:
        """Empty Valkey, make an empty database; return its DSN."""
        redis = connect(self.redis)
        await redis.flushall()
        await redis.aclose()
        admin = await asyncpg.connect(self.postgres)
        await admin.execute(f'drop database if exists "{name}"')
        await admin.execute(f'create database "{name}"')
        await admin.execute("checkpoint")
        await admin.close()
        return self.postgres.replace("/postgres?", f"/{name}?")


class Program:
    """One process of a system, ended by its own pid."""

    def __init__(self, command: Sequence[str | Path], environment: dict[str, str], log: Path):
        self._command, self._environment, self._log = command, environment, log

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """Ask it to end, and end what it leaves behind in its own session."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


class Running(Struct):
    """A started system: where it listens, where its rows are, who works for it."""

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

    def cpu_seconds(self) -> float:
        """CPU seconds of its processes and their children so far."""
        return sum(_cpu_seconds(program.pid) for program in [self.web, *self.workers])

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
        database = await servers.fresh("bench")
        await self._make_tables(database)
        port = ports.any_free("127.0.0.1")
        environment = _environment(database, servers.redis, port) | settings
        log = servers.folder / f"{self.name}.log"
        it = Running(
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

    async def _make_tables(self, database: str) -> None:
        if self.is_ours:
            await migrate(database)
        connection = await asyncpg.connect(database)
        if self.is_ours:
            sql = "insert into facebook_pages (facebook_page_id, name) select id, id"
        else:
            await connection.execute((PEERS / "schema.sql").read_text())
            sql = "insert into pages select id"
        await connection.execute(f"{sql} from unnest($1::text[]) id", PAGES)
        await connection.close()


OURS = System("pagewire", [sys.executable, "-m", "ingress"], [sys.executable, "-m", "worker"])
BARE = System("bare handler", [sys.executable, "-m", "tests.bench.peers.bare"])
UNSTORED = System("handler without a store", [sys.executable, "-m", "tests.bench.peers.unstored"])
_ARQ: list[str | Path] = [sys.executable, "-m", "tests.bench.peers.arq_per_event"]
_TASKS = "tests.bench.peers.celery_peer"
_CELERY_OPTIONS = "--concurrency=4 --without-gossip --without-mingle --without-heartbeat"
PEER_SYSTEMS = [
    System("original", [sys.executable, "-m", "tests.bench.peers.original"]),
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


def _cpu_seconds(pid: int) -> float:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(_cpu_seconds(int(child)) for child in children)
