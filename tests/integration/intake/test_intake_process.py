"""`python -m ingress` as an operator meets it."""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from shared.backlog.envelope import unpack
from shared.backlog.stream import KEY
from shared.facebook.signature import sign
from shared.redis import connect
from tests.integration.intake.intake_world import SECRET, TOKEN, Killable, until

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(redis_url: str, database: str, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": database,
        "REDIS_URL": redis_url,
        "FACEBOOK_APP_SECRET": SECRET,
        "WEBHOOK_VERIFY_TOKEN": TOKEN,
        "INGRESS_PORT": str(free_port()),
        "LOG_FORMAT": "json",
    } | more


@contextlib.asynccontextmanager
async def ingress(
    environ: dict[str, str], *arguments: str, folder: Path | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ingress", *arguments),
        env=environ,
        cwd=folder or ROOT / "tests",
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said(process: asyncio.subprocess.Process) -> str:
    async with asyncio.timeout(20):
        _, errors = await process.communicate()
    return errors.decode()


async def answers(port: str) -> bool:
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/readyz") as response,
        ):
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def test_all_settings_that_are_wrong_are_told_at_once(tmp_path: Path) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "INGRESS_PORT": "high",
        "FACEBOOK_APP_SECRET": "hunter2",
    }
    async with ingress(environ, folder=tmp_path) as process:
        told = await said(process)
    assert process.returncode == 2
    for name in ("DATABASE_URL", "REDIS_URL", "WEBHOOK_VERIFY_TOKEN", "INGRESS_PORT"):
        assert name in told
    assert "hunter2" not in told
    assert "Traceback" not in told


async def test_the_api_alone_needs_nothing_of_facebook(redis_url: str, database: str) -> None:
    environ = environment(redis_url, database, FACEBOOK_APP_SECRET="", WEBHOOK_VERIFY_TOKEN="")
    async with ingress(environ, "--only", "api") as process:
        await until(lambda: answers(environ["INGRESS_PORT"]), 20)
        process.terminate()
        assert await process.wait() == 0


async def test_a_taken_port_is_named(redis_url: str, database: str) -> None:
    environ = environment(redis_url, database)
    with socket.create_server(("127.0.0.1", int(environ["INGRESS_PORT"]))):
        for processes in ("1", "2"):
            async with ingress(environ | {"INGRESS_PROCESSES": processes}) as process:
                told = await said(process)
            assert process.returncode == 1
            assert f"Cannot listen on 127.0.0.1 port {environ['INGRESS_PORT']}" in told
            assert "Traceback" not in told


@pytest.mark.parametrize("url", ["redis://127.0.0.1:port", "redis://127.0.0.1:99999999"])
async def test_a_redis_url_that_is_none_is_told_without_its_value(database: str, url: str) -> None:
    async with ingress(environment(url, database)) as process:
        told = await said(process)
    assert process.returncode == 2
    assert "REDIS_URL" in told
    assert url not in told


async def test_a_redis_that_evicts_is_refused(killable_redis: Killable, database: str) -> None:
    async with connect(killable_redis.url) as redis:
        await redis.config_set("maxmemory-policy", "allkeys-lru")
    async with ingress(environment(killable_redis.url, database)) as process:
        told = await said(process)
    assert process.returncode == 1
    assert "allkeys-lru" in told
    assert "noeviction" in told
    assert "Traceback" not in told


async def test_a_postgres_that_is_down_is_told_and_webhooks_are_taken(redis_url: str) -> None:
    environ = environment(redis_url, "postgresql://somebody:secret@/x?host=/nonexistent")
    async with ingress(environ) as process:
        await until(lambda: answers(environ["INGRESS_PORT"]), 20)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{environ['INGRESS_PORT']}") as session:
            assert await deliver(session, b"{}") == 200
        process.terminate()
        told = await said(process)
    assert process.returncode == 0
    assert "Postgres does not answer" in told
    assert "secret" not in told
    assert "Traceback" not in told


async def test_a_database_that_was_not_migrated_is_told(
    redis_url: str, empty_database: str
) -> None:
    environ = environment(redis_url, empty_database)
    async with ingress(environ) as process:
        await until(lambda: answers(environ["INGRESS_PORT"]), 20)
        process.terminate()
        assert "pagewire migrate" in await said(process)


async def deliver(session: aiohttp.ClientSession, body: bytes) -> int:
    headers = {"X-Hub-Signature-256": sign(body, SECRET)}
    async with session.post("/api/webhook", data=body, headers=headers) as response:
        await response.read()
        return response.status


class Facebook:
    """Delivers numbered bodies as fast as they are taken, and remembers which were."""

    def __init__(self, port: str) -> None:
        self.acked: list[bytes] = []
        self.others: list[int | str] = []
        self._session = aiohttp.ClientSession(f"http://127.0.0.1:{port}")
        self._numbers = itertools.count()

    async def deliver_while(self, goes_on: Callable[[], bool]) -> None:
        while goes_on():
            body = b'{"n": %d}' % next(self._numbers)
            while goes_on():
                try:
                    status: int | str = await deliver(self._session, body)
                except aiohttp.ClientError as error:
                    status = type(error).__name__
                if status == 200:
                    self.acked.append(body)
                    break
                self.others.append(status)
                await asyncio.sleep(0.02)

    async def is_delivering(self) -> bool:
        return len(self.acked) > 50

    async def aclose(self) -> None:
        await self._session.close()


async def stored(redis_url: str) -> set[bytes]:
    async with connect(redis_url) as redis:
        entries = await redis.xrange(KEY)
    return {envelope.body for _, fields in entries for envelope in unpack(fields[b"e"])[1]}


@pytest.mark.parametrize(
    ("processes", "how"), [("1", signal.SIGTERM), ("2", signal.SIGTERM), ("1", signal.SIGKILL)]
)
async def test_an_end_under_load_loses_nothing_that_was_acknowledged(
    redis_url: str, database: str, processes: str, how: signal.Signals
) -> None:
    environ = environment(redis_url, database, INGRESS_PROCESSES=processes)
    async with ingress(environ) as process:
        await until(lambda: answers(environ["INGRESS_PORT"]), 20)
        async with contextlib.aclosing(Facebook(environ["INGRESS_PORT"])) as facebook:
            delivering = [
                asyncio.create_task(facebook.deliver_while(lambda: process.returncode is None))
                for _ in range(16)
            ]
            await until(facebook.is_delivering, 20)
            started = time.monotonic()
            process.send_signal(how)
            status = await process.wait()
            assert time.monotonic() - started < 10
            await asyncio.gather(*delivering)
    assert set(facebook.acked) <= await stored(redis_url)
    if how is signal.SIGTERM:
        assert status == 0
        # Refused connections once it is gone; never an error, never half an answer.
        assert set(facebook.others) <= {"ClientConnectorError"}


async def test_a_rolling_restart_of_two_loses_no_request(redis_url: str, database: str) -> None:
    """The deliverer goes to the other when one takes no connections, as a balancer does."""
    one, two = environment(redis_url, database), environment(redis_url, database)
    ports = [environ["INGRESS_PORT"] for environ in (one, two)]
    done, delivered = False, 0

    async def some_delivered() -> bool:
        return delivered > 50

    async def deliver_to_either(sessions: list[aiohttp.ClientSession]) -> None:
        nonlocal delivered
        number = 0
        while not done:
            number += 1
            body = b'{"n": %d}' % number
            try:
                status = await deliver(sessions[number % 2], body)
            except aiohttp.ClientConnectorError:
                status = await deliver(sessions[(number + 1) % 2], body)
            assert status == 200
            delivered += 1

    async with ingress(one) as first, ingress(two) as second:
        for port in ports:
            await until(lambda port=port: answers(port), 20)
        async with contextlib.AsyncExitStack() as stack:
            sessions = [
                await stack.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{port}"))
                for port in ports
            ]
            delivering = [asyncio.create_task(deliver_to_either(sessions)) for _ in range(8)]
            await until(some_delivered, 20)
            first.terminate()
            assert await first.wait() == 0
            async with ingress(one):
                await until(lambda: answers(ports[0]), 20)
                second.terminate()
                assert await second.wait() == 0
                done = True
                await asyncio.gather(*delivering)


async def test_a_process_that_dies_is_started_again_while_the_others_serve(
    redis_url: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = environment(redis_url, database, INGRESS_PROCESSES="2", METRICS_PORT=str(free_port()))
    async with ingress(environ) as process:
        await until(lambda: answers(environ["INGRESS_PORT"]), 20)
        members = await until_members(process.pid, 2)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{environ['INGRESS_PORT']}") as session:
            statuses = [await deliver(session, b"%d" % n) for n in range(20)]
        assert statuses == [200] * 20
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{environ['METRICS_PORT']}/metrics") as response,
        ):
            numbers = await response.text()
        # Whichever process is asked, the numbers are those of all.
        assert 'pagewire_webhook_requests_total{answer="accepted"} 20.0' in numbers
        await asyncio.sleep(2)  # older than what counts as a failed start
        os.kill(members[0], signal.SIGKILL)
        again = await until_members(process.pid, 2, without=members[0])
        assert members[1] in again
        process.terminate()
        assert await process.wait() == 0
    assert not any(alive(pid) for pid in again)


async def test_the_processes_end_when_their_supervisor_is_killed(
    redis_url: str, database: str
) -> None:
    environ = environment(redis_url, database, INGRESS_PROCESSES="2")
    async with ingress(environ) as process:
        await until(lambda: answers(environ["INGRESS_PORT"]), 20)
        members = await until_members(process.pid, 2)
        process.kill()
        await process.wait()

    async def gone() -> bool:
        return not any(alive(pid) for pid in members)

    await until(gone, 10)


async def until_members(parent: int, count: int, without: int = 0) -> list[int]:
    found: list[int] = []

    async def all_there() -> bool:
        nonlocal found
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        found = [int(pid) for pid in children if int(pid) != without]
        return len(found) == count

    await until(all_there, 20)
    return found


def alive(pid: int) -> bool:
    try:
        return "ingress" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False
