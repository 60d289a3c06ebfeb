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

from deploy.local import ports, servers
from deploy.local.process import Process as ServerProcess
from deploy.local.process import Start
from shared.backlog.stream import KEY, Stream
from shared.redis import connect
from tests.faults.proxy import Proxy
from tests.stack import SECRET, Process, Stack

DATABASE = "postgres"


class Server:
    """One private server: kill it, stop it, start it again."""

    def __init__(self, made: servers.Server) -> None:
        self.url, self.data = made.url, made.data
        self.binary = Path(made.program.command[0])
        self._program = made.program
        self._process: ServerProcess | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

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
        self.secret = SECRET
        """What Facebook signs with."""
        self.taken_over: list[float] = []
        """Seconds until others had applied what a dead worker held."""
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

    def failing(self, of: str, **how: str) -> Process:
        """Return a process in which something goes wrong; see failpoint.py."""
        return self.stack.process(f"failing-{of}", "tests.faults.failpoint", of, **how)

    @asynccontextmanager
    async def instead(self, of: str, process: Process) -> AsyncIterator[None]:
        """Run a process in the place of the ingress or the worker for a while."""
        usual: Process = getattr(self, of)
        await self.stop(usual)
        process.start()
        try:
            await until(self.answers, 30, f"{process.name} is ready")
            yield
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):  # it is killed then
                await self.stop(process)
            usual.start()

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

    @asynccontextmanager
    async def redis_copy(self) -> AsyncIterator[Path]:
        """Make a real replica, and cut it off: its data, which falls behind from now on."""
        folder = self._folder / "replica"
        folder.mkdir(exist_ok=True)
        with servers.redis_server(folder) as made:
            copy = Server(made)
            await copy.start()
            port = ports.any_free("127.0.0.1")
            await self.client.config_set("port", port)
            there = connect(made.url)
            try:
                await there.execute_command("REPLICAOF", "127.0.0.1", str(port))

                async def in_step() -> bool:
                    found = await there.info("replication")
                    return found.get("master_link_status") == "up"

                await until(in_step, 30, "the replica is in step")
                await there.execute_command("REPLICAOF", "NO", "ONE")
                await copy.end(signal.SIGTERM)
                yield made.data
            finally:
                await there.aclose()
                await self.client.config_set("port", 0)
                copy.close()
                shutil.rmtree(folder)

    def corrupt_redis(self) -> bool:
        """Spoil the middle of a stopped Redis's log; tell whether there was enough of it."""
        log = self._redis_log()
        if log is None:
            return False
        written = log.read_bytes()
        where = written.find(b"\r\n*", len(written) // 2, -10_000)
        if where < 0:
            return False
        with log.open("r+b") as file:
            file.seek(where + 2)
            file.write(b"#")
        return True

    def mend_redis(self) -> None:
        """Do what the runbook says: cut the log off where it is spoilt."""
        tool = self._folder / f"{self.redis.binary.name.split('-')[0]}-check-aof"
        with contextlib.suppress(FileExistsError):
            tool.symlink_to(self.redis.binary)
        log = self._redis_log()
        assert log is not None
        subprocess.run([tool, "--fix", log], input=b"y\n", check=True, stdout=subprocess.DEVNULL)

    def _redis_log(self) -> Path | None:
        logs = sorted(self.redis.data.rglob("*.incr.aof"), key=lambda path: path.stat().st_mtime)
        return logs[-1] if logs else None

    def chop_redis(self, part: float) -> None:
        """Take away the end of a stopped Redis's log, as a power loss does."""
        if log := self._redis_log():
            os.truncate(log, int(log.stat().st_size * (1 - part)))


BACKLOG = KEY


@asynccontextmanager
async def cluster(**homes: Path) -> AsyncIterator[Cluster]:
    """A cluster that runs, with everything it started ended afterwards.

    `homes`: where `redis` or `postgres` keeps its data, if not with the rest.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pagewire-faults-")))
        # As root, PostgreSQL runs as another account: it must be able to get there.
        folder.chmod(0o755)
        redis = Server(stack.enter_context(servers.redis_server(homes.get("redis", folder))))
        postgres = Server(
            stack.enter_context(servers.postgres_server(homes.get("postgres", folder)))
        )
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
