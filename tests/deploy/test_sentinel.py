"""Redis fails over under load: nobody outside notices, and nothing acknowledged is lost."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from shared import queue
from shared.queue import Queue, SyncPage
from shared.redis import connect
from tests.deploy.sentinels import Group, sentinels
from tests.stack import Stack, running

pytestmark = [
    pytest.mark.skipif("PAGEWIRE_SCALE_OUT" not in os.environ, reason="long: make scale-out"),
    pytest.mark.timeout(240),
]

PAGE = "1001"
NOW_MS = 1_764_000_000_000


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[Group]:
    async with sentinels(tmp_path / "redis") as group:
        yield group


@pytest.fixture
async def stack(group: Group, database: str, tmp_path: Path) -> AsyncIterator[Stack]:
    """An ingress and a worker that ask the sentinels where Redis is."""
    folder = tmp_path / "logs"
    folder.mkdir()
    async with running(Stack(database, group.url, folder)) as stack:
        await stack.command("page", "add", PAGE, "--name", "Corner shop")
        yield stack


async def test_a_failover_under_load_is_invisible_to_facebook_and_to_readers(
    group: Group, stack: Stack
):
    key = (await stack.command("key", "create", "--scope", "read"))["key"]
    bearer = {"Authorization": f"Bearer {key}"}
    feed = asyncio.create_task(_told(stack, bearer))
    load = asyncio.create_task(_send(stack, count=1200, a_second=120))
    await asyncio.sleep(3)
    group.primary.kill()
    await stack.until(group.failed_over, 30)
    answers = await load

    assert answers == [200] * 1200
    await stack.until(lambda: _stored(stack, 1200), 60)

    # The stream is in use again, not the inbox; jobs run; answers are fresh; the feed went on.
    await stack.until(lambda: _in_redis(stack))
    arq = queue.connect(connect(group.url).connection_pool)
    await Queue(arq).put(SyncPage(page="nobody"))
    await arq.aclose()
    await stack.until(lambda: _refused_job(stack))
    for number in (2000, 2001):
        assert await stack.post(_webhook(number)) == 200
        await stack.until(lambda n=number: _newest(stack, bearer, f"text {n}"))
    assert await asyncio.wait_for(feed, 30)


async def test_a_replica_that_lacks_the_tail_is_given_it_again(group: Group, stack: Stack):
    """Redis acknowledges before its replicas have it: the ingress sends its last seconds again."""
    stack.worker.kill()  # what is applied could not be lost any more
    for replica in group.replicas:
        replica.signal(signal.SIGSTOP)
    # Else what was on its way to them would still arrive.
    await group.primary.ask("CLIENT", "KILL", "TYPE", "REPLICA")
    assert await _send(stack, count=200, a_second=200) == [200] * 200
    group.primary.kill()
    for replica in group.replicas:
        replica.signal(signal.SIGCONT)
    await stack.until(group.failed_over, 30)

    stack.worker.start()
    await stack.until(lambda: _stored(stack, 200), 60)
    assert "entries_sent_again" in stack.ingress.log.read_text()


async def _send(stack: Stack, *, count: int, a_second: int) -> list[int]:
    """Post messages at a steady rate; return what each was answered."""
    answers = []
    for number in range(count):
        answers.append(asyncio.create_task(stack.post(_webhook(number))))
        await asyncio.sleep(1 / a_second)
    return list(await asyncio.gather(*answers))


async def _stored(stack: Stack, count: int) -> bool:
    return await stack.rows("select count(*) from messages") == [(count,)]


async def _refused_job(stack: Stack) -> bool:
    return bool(await stack.rows("select 1 from dead_letters where reason = 'bad_job'"))


async def _in_redis(stack: Stack) -> bool:
    async with stack.session.get(stack.url + "/readyz") as answer:
        return bool((await answer.json())["keepers"]["redis"])


async def _newest(stack: Stack, bearer: dict[str, str], text: str) -> bool:
    """Tell whether the API, its cache included, has this as the last message."""
    url = f"{stack.url}/api/conversations?limit=1"
    async with stack.session.get(url, headers=bearer) as answer:
        found = (await answer.json())["data"]
    return bool(found) and found[0]["lastMessage"]["text"] == text


async def _told(stack: Stack, bearer: dict[str, str]) -> bool:
    """Follow the feed as a browser does, until it told of something after the failover."""
    seen: dict[str, str] = {}
    while True:
        with contextlib.suppress(aiohttp.ClientError):
            url = stack.url + "/api/live"
            async with stack.session.get(url, headers=bearer | seen) as feed:
                async for line in feed.content:
                    if line.startswith(b"id: "):
                        seen = {"Last-Event-ID": line[4:].decode().strip()}
                    if line.startswith(b"data: ") and b'"person-2001"' in line:
                        return True
        await asyncio.sleep(1)


def _webhook(number: int) -> bytes:
    person = f"person-{number}" if number >= 2000 else f"person-{number % 50}"
    item = {
        "sender": {"id": person},
        "recipient": {"id": PAGE},
        "timestamp": NOW_MS + number,
        "message": {"mid": f"m_{number}", "text": f"text {number}"},
    }
    entry = {"id": PAGE, "time": NOW_MS + number, "messaging": [item]}
    return json.dumps({"object": "page", "entry": [entry]}).encode()
