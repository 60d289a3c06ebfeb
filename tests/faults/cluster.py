"""A whole Pagewire over servers of its own, each of which may be killed, stopped, robbed or cut."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from deploy.local import servers
from deploy.local.process import Process as ServerProcess
from deploy.local.process import Start
from shared.backlog.stream import KEY, Stream
from shared.redis import connect
from tests.faults.proxy import Proxy
from tests.stack import Process, Stack

DATABASE = "postgres"


class Server:
    """One private server: kill it, stop it, start it again."""

    def __init__(self, made: servers.Server) -> None:
        self.url, self.data = made.url, made.data
        self._program = made.program
        self._process: ServerProcess | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        start = Start(self._program)
        while not start.answered():
            await asyncio.sleep(0.02)
        self._process = start.process

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal that ends it, and wait until it has."""
        assert self._process is not None
        self._process.send_signal(number)
        while self._process.poll() is None:
            await asyncio.sleep(0.01)

    def close(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGCONT)
            self._program.stop(self._process)


class Cluster:
    """Servers, a bad way to each, an ingress and two workers beyond it.

    The processes reach the servers through `ways`; the test itself looks past those.
    """

    def __init__(self, redis: Server, postgres: Server, folder: Path) -> None:
        self.redis, self.postgres, self._folder = redis, postgres, folder
        self.ways = {
            "redis": Proxy(_socket(redis.url), folder / "redis.way"),
            "postgres": Proxy(
                f"{_host(postgres.url)}/{servers.POSTGRES_SOCKET}", folder / servers.POSTGRES_SOCKET
            ),
        }
        self.stack = Stack(
            f"postgresql://pagewire@/{DATABASE}?host={folder}",
            f"unix://{folder / 'redis.way'}?db=0",
            folder,
            # Slots of this cluster alone: a restarted worker is to find its own again.
            TMPDIR=str(folder),
        )
        self.ingress = self.stack.ingress
        self.worker = self.stack.worker
        self.other = self.stack.process("other", "worker", "--only", "ingest")
        self.client = connect(redis.url)
        self.stream = Stream(self.client)

    @property
    def url(self) -> str:
        return self.stack.url

    async def start(self) -> None:
        await self.redis.start()
        await self.postgres.start()
        for way in self.ways.values():
            await way.be(None)
        await self.stack.start()
        self.other.start()

    async def close(self) -> None:
        for process in (self.ingress, self.worker, self.other):
            if process.running:
                process.signal(signal.SIGCONT)
                with contextlib.suppress(subprocess.TimeoutExpired):  # it is killed then
                    await self.stop(process)
        await self.stack.close()
        for way in self.ways.values():
            await way.close()
        await self.client.aclose()
        await self.client.connection_pool.disconnect()
        self.redis.close()
        self.postgres.close()

    async def stop(self, process: Process) -> int:
        """End a process as a deploy does. The ways to its servers are ours: they must go on."""
        return await asyncio.to_thread(process.stop)

    def failing(self, of: str, point: str, nth: int) -> Process:
        """Return a process that kills itself when it comes past a point for the nth time."""
        return self.stack.process(
            f"failing-{of}",
            "tests.faults.failpoint",
            of,
            FAILPOINT=f"{point}:{nth}",
        )

    async def command(self, *arguments: str) -> Any:
        return await self.stack.command(*arguments)

    async def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask Postgres itself, not through the way to it."""
        connection = await asyncpg.connect(self.postgres.url)
        try:
            return [tuple(row) for row in await connection.fetch(statement, *values)]
        finally:
            await connection.close()

    async def applied_up_to(self, moment_ms: int) -> bool:
        """Tell whether nothing that came before a moment still waits, in either place."""
        try:
            state = await self.stream.state()
            [(inbox,)] = await self.sql(
                "select count(*) from webhook_inbox where received_at < to_timestamp($1 / 1000.0)",
                moment_ms,
            )
        except Exception:  # a store that is away: not yet
            return False
        oldest = state.oldest_unapplied
        return inbox == 0 and (state.unapplied == 0 or (oldest or (0, 0))[0] > moment_ms)

    async def backlog_age(self) -> float:
        state = await self.stream.state()
        return state.backlog_age(int(time.time() * 1000)).total_seconds()

    async def drained(self) -> bool:
        try:
            state = await self.stream.state()
            return state.unapplied == 0 and await self.sql("select 1 from webhook_inbox") == []
        except Exception:
            return False

    async def answers(self) -> bool:
        return await self.stack.answers()

    def wipe_redis(self) -> None:
        """Take away all that a stopped Redis wrote."""
        for path in self.redis.data.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def chop_redis(self, part: float) -> None:
        """Take away the end of a stopped Redis's log, as a power loss does."""
        logs = sorted(self.redis.data.rglob("*.incr.aof"), key=lambda path: path.stat().st_mtime)
        if logs:
            os.truncate(logs[-1], int(logs[-1].stat().st_size * (1 - part)))


BACKLOG = KEY


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    """A cluster that runs, with everything it started ended afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pagewire-faults-")))
        # As root, PostgreSQL runs as another account: it must be able to get there.
        folder.chmod(0o755)
        redis = Server(stack.enter_context(servers.redis_server(folder)))
        postgres = Server(stack.enter_context(servers.postgres_server(folder)))
        made = Cluster(redis, postgres, folder)
        try:
            await made.start()
            yield made
        finally:
            await made.close()


async def until(condition: Callable[[], Awaitable[bool]], seconds: float, what: str = "") -> float:
    """Wait for a condition; return the seconds it took."""
    began = time.monotonic()
    while not await condition():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not within {seconds} s: {what or condition}")
        await asyncio.sleep(0.02)
    return time.monotonic() - began


def _socket(url: str) -> str:
    return url.removeprefix("unix://").split("?")[0]


def _host(url: str) -> str:
    return dict(part.split("=") for part in url.split("?")[1].split("&"))["host"]
