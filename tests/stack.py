"""A whole Pagewire of its own processes over private servers, for tests that may kill any part."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from deploy.local import ports
from shared.store.migrate import migrate

ROOT = Path(__file__).parents[1]
SECRET = "stack-app-secret"
VERIFY_TOKEN = "stack-verify-token"


RUNNING: set["Process"] = set()
"""What was started and not ended yet: a test that is cut off must leave nothing to the next one,
whose Redis it shares. `tests/conftest.py` sees to it.
"""


class Process:
    """One process of ours, ended by its own pid; what it says goes to a file."""

    def __init__(self, name: str, module: list[str], environment: dict[str, str], logs: Path):
        self.name, self._module, self._environment = name, module, environment
        self.log = logs / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._module],
                cwd=self._environment["PYTHONPATH"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        RUNNING.add(self)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it the way a crash does."""
        RUNNING.discard(self)
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self, timeout: float = 12) -> int:
        """End it the way a deploy does; return its exit status."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        RUNNING.discard(self)
        return status


class Stack:
    """Ingress and worker over the given servers; Graph is wherever `graph` says."""

    def __init__(
        self,
        postgres: str,
        redis: str,
        folder: Path,
        graph: str = "http://127.0.0.1:9",
        **more: str,
    ) -> None:
        self.postgres, self.redis = postgres, redis
        self.port = ports.any_free("127.0.0.1")
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG"}}
        self.environment = kept | {
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": postgres,
            "REDIS_URL": redis,
            "INGRESS_PORT": str(self.port),
            "FACEBOOK_APP_ID": "1517776481860111",
            "FACEBOOK_APP_SECRET": SECRET,
            "WEBHOOK_VERIFY_TOKEN": VERIFY_TOKEN,
            "TOKEN_ENCRYPTION_KEYS": base64.urlsafe_b64encode(bytes(32)).decode(),
            "GRAPH_API_URL": graph,
            "GRAPH_PAGE_CALLS_PER_SECOND": "0",
            "SYNC_INTERVAL": "0",
            "LOG_FORMAT": "json",
            **more,
        }
        self._folder = folder
        self.ingress = self.process("ingress", "ingress")
        self.worker = self.process("worker", "worker")
        self._session: aiohttp.ClientSession | None = None

    def process(self, name: str, *module: str, **more: str) -> Process:
        return Process(name, list(module), self.environment | more, self._folder)

    async def start(self) -> None:
        await migrate(self.postgres)
        self.ingress.start()
        self.worker.start()
        self._session = aiohttp.ClientSession()
        await self.until(self.answers)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Ask processes that somebody else has started."""
        async with aiohttp.ClientSession() as self._session:
            yield

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
        for process in (self.ingress, self.worker):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.stop()

    @property
    def session(self) -> aiohttp.ClientSession:
        assert self._session is not None
        return self._session

    async def answers(self) -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            async with self.session.get(self.url + "/readyz") as answer:
                return answer.status == 200
        return False

    async def post(self, body: bytes, **headers: str) -> int:
        """Post a webhook signed as Facebook signs; return the status."""
        signed = {"X-Hub-Signature-256": sign(body), "Content-Type": "application/json"}
        async with self.session.post(
            self.url + "/api/webhook", data=body, headers=signed | headers
        ) as answer:
            await answer.read()
            return answer.status

    async def command(self, *arguments: str, **more: str) -> Any:
        """Run `pagewire … --json` and return what it printed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ingress.cli", *arguments, "--json"),
            cwd=ROOT,
            env=self.environment | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await process.communicate()
        if process.returncode:
            raise AssertionError(f"pagewire {arguments}: {err.decode()}")
        return json.loads(out)

    async def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.postgres)
        try:
            return [tuple(row) for row in await connection.fetch(sql, *values)]
        finally:
            await connection.close()

    async def drained(self) -> bool:
        """Whether everything acknowledged has been applied."""
        from shared.backlog.stream import Stream
        from shared.redis import connect

        stream = Stream(connect(self.redis))
        try:
            state = await stream.state()
        finally:
            await stream.aclose()
        inbox = await self.rows("select count(*) from webhook_inbox")
        return state.unapplied == 0 and inbox == [(0,)]

    async def until(self, condition: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not await condition():
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def running(stack: Stack) -> AsyncIterator[Stack]:
    """A stack that is started, and stopped at the end."""
    try:
        await stack.start()
        yield stack
    finally:
        await stack.close()


def sign(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def payload_files(*folders: str) -> Iterator[Path]:
    """The bodies of the folders beside the checkout, or of PAGEWIRE_PAYLOADS; none if absent."""
    where = Path(os.environ.get("PAGEWIRE_PAYLOADS", ROOT.parent / "shared" / "payloads"))
    for folder in folders:
        yield from sorted((where / folder).glob("*.json"))
