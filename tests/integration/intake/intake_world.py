"""An ingress in this process, and gates before its stores that a test can shut."""

import asyncio
import io
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from deploy.local import servers
from deploy.local.process import Process, Program
from ingress.app import Half, Ingress
from shared import config
from shared.backlog.envelope import Envelope, unpack
from shared.backlog.stream import KEY
from shared.facebook.signature import sign
from shared.redis import connect

SECRET = "one-secret"
TOKEN = "a verify token: äö%&"


class Gate:
    """A way to a server's unix socket that can be shut (refusing) or stalled (silent)."""

    def __init__(self, there: str, here: Path) -> None:
        self.here = here
        self._there = there
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_unix_server(self._way, self.here)

    async def shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self.here.unlink(missing_ok=True)
        self._flowing.set()
        while self._ends:
            for end in self._ends:
                end.transport.abort()
            await asyncio.sleep(0.001)

    def stall(self) -> None:
        self._flowing.clear()

    async def _way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_unix_connection(self._there)
        ends = {writer, there_writer}
        self._ends |= ends
        carrying = [self._carry(reader, there_writer), self._carry(there_reader, writer)]
        await asyncio.gather(*carrying, return_exceptions=True)
        self._ends -= ends

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        finally:
            # The other direction ends with this one.
            writer.transport.abort()


class Killable:
    """A server of a test's own, which it may kill."""

    def __init__(self, server: servers.Server) -> None:
        self.url = server.url
        self.data = server.data
        self._program: Program = server.program
        self._process: Process | None = None

    def start(self) -> None:
        self._process = self._program.spawn()
        deadline = time.monotonic() + 20
        while not self._program.answers(self._process):
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def wipe(self) -> None:
        """Take everything it wrote to disk away."""
        for path in self.data.iterdir():
            if path.is_dir():
                shutil.rmtree(path)

    def stop(self) -> None:
        if self._process is not None:
            self._program.stop(self._process)


class World:
    """An ingress, Facebook before it, and a look into both places of its backlog."""

    def __init__(self, redis_url: str, database: str) -> None:
        self.redis_url = redis_url
        self.database = database
        self.redis = connect(redis_url)
        self.ingress: Ingress
        self.session: aiohttp.ClientSession
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None]
        self._seen = ("0-0", 0)

    async def start(self, *, only: Half | None = "webhook", **environ: str) -> None:
        settings = {
            "DATABASE_URL": self.database,
            "REDIS_URL": self.redis_url,
            "FACEBOOK_APP_SECRET": f"{SECRET},another-secret",
            "WEBHOOK_VERIFY_TOKEN": TOKEN,
            "INGRESS_PORT": "0",
        }
        self._stop = asyncio.Event()
        self.ingress = Ingress(config.load(settings | environ, wants=()), only, None)
        await self.ingress.start()
        self._running = asyncio.create_task(self.ingress.run(self._stop))
        self.session = aiohttp.ClientSession(f"http://127.0.0.1:{self.ingress.ports[0]}")

    async def stop(self) -> None:
        await self.session.close()
        self._stop.set()
        await self._running

    async def post(
        self, body: bytes, *, secret: str = SECRET, path: str = "/api/webhook"
    ) -> tuple[int, float]:
        """Deliver a webhook as Facebook does; return status and seconds."""
        started = time.monotonic()
        headers = {"X-Hub-Signature-256": sign(body, secret), "Content-Type": "application/json"}
        async with self.session.post(path, data=io.BytesIO(body), headers=headers) as response:
            await response.read()
            return response.status, time.monotonic() - started

    async def overlook(self) -> None:
        """Let what lies in the backlog already count for nothing."""
        newest = await self.redis.xrevrange(KEY, count=1)
        [row] = await self.sql("select coalesce(max(id), 0) as id from webhook_inbox")
        self._seen = (newest[0][0].decode() if newest else "0-0", row["id"])

    async def in_redis(self) -> list[Envelope]:
        entries = await self.redis.xrange(KEY, f"({self._seen[0]}")
        return [envelope for _, fields in entries for envelope in unpack(fields[b"e"])[1]]

    async def in_postgres(self) -> list[Envelope]:
        rows = await self.sql(
            "select entry from webhook_inbox where id > $1 order by id", self._seen[1]
        )
        return [envelope for row in rows for envelope in unpack(row["entry"])[1]]

    async def sql(self, statement: str, *values: object) -> list[Any]:
        connection = await asyncpg.connect(self.database)
        try:
            return await connection.fetch(statement, *values)
        finally:
            await connection.close()

    async def readiness(self) -> dict[str, Any]:
        async with self.session.get("/readyz") as response:
            found = await response.json()
        assert (response.status == 200) == found["ready"]
        return found


async def until(holds: Callable[[], Awaitable[Any]], seconds: float = 8) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.01)


class Gated(World):
    """A world whose ingress reaches its stores through gates; the test itself looks past them."""

    def __init__(self, redis_url: str, database: str, folder: Path) -> None:
        super().__init__(redis_url, database)
        self.redis_gate = Gate(redis_url.removeprefix("unix://").split("?")[0], folder / "redis")
        where = dict(part.split("=") for part in database.split("?")[1].split("&"))["host"]
        self.postgres_gate = Gate(f"{where}/.s.PGSQL.5432", folder / ".s.PGSQL.5432")
        self._folder = folder

    async def start(self, *, only: Half | None = "webhook", **environ: str) -> None:
        gated = {
            "REDIS_URL": f"unix://{self.redis_gate.here}?db=0",
            "DATABASE_URL": f"{self.database.split('?')[0]}?host={self._folder}",
        }
        await super().start(only=only, **gated, **environ)
