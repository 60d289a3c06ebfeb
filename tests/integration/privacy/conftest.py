"""The parts of one worker."""

from collections.abc import AsyncIterator

import pytest

from shared import queue
from shared.cache import Cache
from shared.queue import Queue
from shared.redis import connect
from shared.store import pages
from shared.store.database import Database
from shared.store.pages import KnownPages
from tests.integration.privacy.world import INSTAGRAM, PAGE, World
from worker.effects import Effects
from worker.erase import Erasures
from worker.replay import Replays
from worker.retention import Retention
from worker.writing import Writer


@pytest.fixture
async def world(database: str, redis_url: str) -> AsyncIterator[World]:
    store = Database(database, writer=True)
    cache = Cache(connect(redis_url))
    arq = queue.connect(connect(redis_url).connection_pool)
    writer = Writer(store, KnownPages(store), Effects(cache), Retention())
    await pages.add(store, facebook_page_id=PAGE, name="A", instagram_id=INSTAGRAM, token=None)
    yield World(
        database=store,
        cache=cache,
        queue=Queue(arq),
        writer=writer,
        erasures=Erasures(store, cache),
        replays=Replays(store, writer, Queue(arq)),
    )
    await arq.connection_pool.disconnect()
    await cache.aclose()
    await store.close()
