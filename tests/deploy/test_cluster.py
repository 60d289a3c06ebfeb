"""What Redis Cluster can be used for, and what it refuses: deploy/guides/scaling.md says so."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.exceptions import RedisError, ResponseError

from deploy.local import ports
from shared import queue
from shared.backlog.envelope import Envelope, Origin, pack
from shared.backlog.stream import Stream, StreamReader
from shared.cache import Cache, Question, about_list
from shared.errors import Unavailable
from shared.facebook.graph.limits import Budget, Priority
from shared.queue import Queue, SyncAll
from shared.redis import connect
from tests.deploy.sentinels import Server


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a Redis Cluster of a single node, which has all slots."""
    bus = f"cluster-port {ports.any_free('127.0.0.1')}"
    server = Server(tmp_path / "node", "cluster-enabled yes", bus)
    server.start()
    try:
        async with asyncio.timeout(20):
            while not await _ready(server):
                await asyncio.sleep(0.05)
        yield f"redis://127.0.0.1:{server.port}"
    finally:
        server.kill()


async def _ready(server: Server) -> bool:
    with contextlib.suppress(RedisError):
        told = await server.ask("CLUSTER", "INFO")
        if "cluster_slots_assigned:0" in told:
            await server.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        return "cluster_state:ok" in told
    return False


async def test_the_backlog_is_one_key_and_works(cluster: str):
    stream, reader = Stream(connect(cluster)), StreamReader(cluster, "a worker")
    packed = pack(Origin("ingress", "boot", 0), [Envelope("webhook", 1, b"{}")])
    await stream.append(packed)
    [entry] = await reader.read(1, 1 << 20, 1000)
    await reader.ack([entry])
    assert (await stream.state()).unapplied == 0
    await stream.aclose()
    await reader.aclose()


async def test_jobs_and_the_budget_need_several_keys_at_once_and_are_refused(cluster: str):
    arq = queue.connect(connect(cluster).connection_pool)
    with pytest.raises(ResponseError, match="same slot"):
        await Queue(arq).put(SyncAll())
    await arq.aclose()
    redis = connect(cluster)
    with pytest.raises(Unavailable):
        await Budget(redis, 2).take({"1001": 1, "2002": 1}, Priority.PEOPLE)
    await redis.aclose()


async def test_the_cache_answers_from_memory_as_if_redis_were_away(cluster: str):
    cache = Cache(connect(cluster))

    async def load() -> bytes:
        return b"answer"

    question = Question("conversations", "all", (about_list(None),))
    assert await cache.get(question, load) == b"answer"
    assert cache.in_memory
    await cache.aclose()
