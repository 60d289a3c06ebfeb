"""Several of each kind: one may go at any moment, and neither Facebook nor the rows notice."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from deploy.local import ports
from shared.heartbeat import beats
from shared.redis import connect
from tests.deploy.front import PUBLIC, Front, needs_nginx
from tests.stack import Stack, running, sign
from worker.jobs import EVERY

pytestmark = [
    needs_nginx,
    pytest.mark.skipif("PAGEWIRE_SCALE_OUT" not in os.environ, reason="long: make scale-out"),
]

COUNT, A_SECOND = 1000, 100
TWICE = "select mid from raw_events group by mid having count(*) > 1"


class Fleet:
    """Two ingresses behind nginx, and so many workers."""

    def __init__(self, stack: Stack, folder: Path, workers: int) -> None:
        self.stack = stack
        port = ports.any_free("127.0.0.1")
        self.second = stack.process("ingress-2", "ingress", INGRESS_PORT=str(port))
        self.workers = [stack.process(f"worker-{n}", "worker") for n in range(2, workers + 1)]
        folder.mkdir()
        self.front = Front(folder, [stack.port, port], stack.port)
        self._port = port

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[aiohttp.ClientSession]:
        more = [self.second, *self.workers]
        async with running(self.stack) as stack, self.front.running() as session:
            for process in more:
                process.start()
            try:
                await stack.command("page", "add", "1001", "--name", "Corner shop")
                await stack.until(lambda: _answers(self._port))
                yield session
            finally:
                for process in more:
                    process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_losing_an_ingress_and_a_worker_under_load_is_invisible(
    number: signal.Signals, database: str, redis_url: str, tmp_path: Path
):
    stack = Stack(database, redis_url, tmp_path)
    fleet = Fleet(stack, tmp_path / "nginx", workers=2)
    async with fleet.running() as session:
        load = asyncio.create_task(_send(fleet.front, session))
        await asyncio.sleep(COUNT / A_SECOND / 3)
        fleet.second.signal(number)
        await asyncio.sleep(COUNT / A_SECOND / 3)
        fleet.workers[0].signal(number)
        assert await load == [200] * COUNT
        await stack.until(lambda: _stored(stack))
        assert await stack.rows(TWICE) == []


async def test_four_workers_share_the_work_and_a_cron_runs_once(
    database: str, redis_url: str, tmp_path: Path
):
    stack = Stack(database, redis_url, tmp_path)
    fleet = Fleet(stack, tmp_path / "nginx", workers=4)
    redis = connect(redis_url)

    async def counted(name: str) -> list[float]:
        """Return what each worker counts, as its beats tell."""
        told = [beat.samples for beat in await beats(redis) if beat.kind == "worker"]
        return [sum(one.value for one in samples if one.name == name) for samples in told]

    async def all_told() -> bool:
        return sum(await counted("pagewire_ingest_items_total")) >= COUNT

    began = time.monotonic()
    async with fleet.running() as session:
        assert await _send(fleet.front, session) == [200] * COUNT
        await stack.until(lambda: _stored(stack))
        await stack.until(all_told)
        items = await counted("pagewire_ingest_items_total")
        ticks = sum(await counted("pagewire_cron_seconds_count"))
        took = timedelta(seconds=time.monotonic() - began)
    await redis.aclose()
    assert (len(items), sum(items)) == (4, COUNT), "a worker did again what another had done"
    assert await stack.rows(TWICE) == []
    assert 0 < ticks <= sum(took // every + 1 for every in EVERY.values())


async def _send(front: Front, session: aiohttp.ClientSession) -> list[int]:
    async def post(number: int) -> int:
        body = _webhook(number)
        url, headers = front.url(PUBLIC, "/api/webhook"), {"X-Hub-Signature-256": sign(body)}
        async with session.post(url, data=body, headers=headers) as answer:
            return answer.status

    answers = []
    for number in range(COUNT):
        answers.append(asyncio.create_task(post(number)))
        await asyncio.sleep(1 / A_SECOND)
    return list(await asyncio.gather(*answers))


async def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        return ports.accepts("127.0.0.1", port)
    return False


async def _stored(stack: Stack) -> bool:
    return await stack.rows("select count(*) from messages") == [(COUNT,)]


def _webhook(number: int) -> bytes:
    item = {
        "sender": {"id": f"70{number % 50}"},
        "recipient": {"id": "1001"},
        "timestamp": 1_764_000_000_000 + number,
        "message": {"mid": f"m_{number}", "text": "hello"},
    }
    entry = {"id": "1001", "time": 1_764_000_000_000, "messaging": [item]}
    return json.dumps({"object": "page", "entry": [entry]}).encode()
