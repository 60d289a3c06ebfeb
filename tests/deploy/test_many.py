"""Several of each kind: one may go at any moment, and neither Facebook nor the rows notice."""

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path

import aiohttp
import pytest

from deploy.local import ports
from tests.deploy.front import PUBLIC, Front, needs_nginx
from tests.stack import Stack, running, sign

pytestmark = [
    needs_nginx,
    pytest.mark.skipif("PAGEWIRE_SCALE_OUT" not in os.environ, reason="long: make scale-out"),
]

COUNT, A_SECOND = 1000, 100


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_losing_an_ingress_and_a_worker_under_load_is_invisible(
    number: signal.Signals, database: str, redis_url: str, tmp_path: Path
):
    stack = Stack(database, redis_url, tmp_path)
    second_port = ports.any_free("127.0.0.1")
    second = stack.process("ingress-2", "ingress", INGRESS_PORT=str(second_port))
    another = stack.process("worker-2", "worker")
    folder = tmp_path / "nginx"
    folder.mkdir()
    front = Front(folder, [stack.port, second_port], stack.port)
    async with running(stack), front.running() as session:
        second.start()
        another.start()
        try:
            await stack.command("page", "add", "1001", "--name", "Corner shop")
            await stack.until(lambda: _answers(second_port))
            load = asyncio.create_task(_send(front, session))
            await asyncio.sleep(COUNT / A_SECOND / 3)
            second.signal(number)
            await asyncio.sleep(COUNT / A_SECOND / 3)
            another.signal(number)
            assert await load == [200] * COUNT
            await stack.until(lambda: _stored(stack))
            twice = "select mid from raw_events group by mid having count(*) > 1"
            assert await stack.rows(twice) == []
        finally:
            second.kill()
            another.kill()


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
