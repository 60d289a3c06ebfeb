"""A crash between a commit and its announcement leaves no stale cache and no silent feed."""

import asyncio
import json

import pytest

from tests.faults.cluster import Cluster, cluster, until
from tests.stack import Process

PAGE, PERSON = "102938475610293", "7392015648120394"
AT = 1_764_000_000_000


def message(number: int) -> bytes:
    item = {
        "sender": {"id": PERSON},
        "recipient": {"id": PAGE},
        "timestamp": AT + number,
        "message": {"mid": f"m_{number}", "text": f"text {number}"},
    }
    entry = {"id": PAGE, "time": AT, "messaging": [item]}
    return json.dumps({"object": "page", "entry": [entry]}).encode()


class Reader:
    """Somebody with a key who reads the list, and listens."""

    def __init__(self, made: Cluster, key: str) -> None:
        self._made, self._headers = made, {"Authorization": f"Bearer {key}"}
        self.heard = asyncio.Event()

    async def conversations(self) -> str:
        url = f"{self._made.url}/api/conversations?pageId={PAGE}"
        async with self._made.stack.session.get(url, headers=self._headers) as answer:
            assert answer.status == 200
            return await answer.text()

    async def listen(self) -> None:
        url = f"{self._made.url}/api/live?pageId={PAGE}"
        async with self._made.stack.session.get(url, headers=self._headers) as answer:
            async for line in answer.content:
                if line.startswith(b"data:"):
                    self.heard.set()


@pytest.mark.parametrize("point", ["after_commit", "after_announce"])
async def test_a_killed_worker_leaves_no_stale_cache_and_no_silent_feed(point: str) -> None:
    """Two mend it: whoever reads the entry again, and the API, which looks for unannounced changes.

    So the cache may be right already before the worker is back; it must be soon afterwards.
    """
    async with cluster() as made:
        await made.command("page", "add", PAGE, "--name", "Acme")
        key = await made.command("key", "create", "--scope", "read")
        reader = Reader(made, key["key"])
        assert await made.stack.post(message(1)) == 200
        await until(made.drained, 20, "the first message is applied")
        warm = await reader.conversations()
        assert "text 1" in warm
        made.other.kill()
        made.worker.kill()
        listening = asyncio.create_task(reader.listen())
        broken = made.failing("worker", FAILPOINT=f"{point}:1")
        try:
            await _dies(made, broken)
            made.worker.start()
            await until(made.drained, 20, "its entry is applied again")

            async def fresh() -> bool:
                return "text 2" in await reader.conversations()

            await until(fresh, 5, "readers see the second message")
            async with asyncio.timeout(5):
                await reader.heard.wait()
        finally:
            broken.kill()
            listening.cancel()


async def _dies(made: Cluster, broken: Process) -> None:
    broken.start()
    assert await made.stack.post(message(2)) == 200

    async def dead() -> bool:
        return not broken.running

    await until(dead, 20, "the worker dies at its point")
    assert await made.sql("select 1 from messages where mid = 'm_2'") == [(1,)]
