"""Builds the desks that the tests of the sync engine work at."""

import base64
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from deploy.simulator.config import Config
from deploy.simulator.simulator import Simulator
from shared.cache import Cache
from shared.config import Secret
from shared.crypto import KeyRing
from shared.facebook.client import connected
from shared.facebook.limits import Budget
from shared.redis import connect
from shared.store.database import Database
from tests.integration.sync.desk import Desk, settings
from worker.effects import Effects
from worker.sync.asking import Graph
from worker.sync.modes import SyncModes
from worker.sync.step import Tools
from worker.sync.storing import Storing


@pytest.fixture
def key() -> Secret:
    return Secret(base64.urlsafe_b64encode(os.urandom(32)).decode())


@pytest.fixture
def desk(database: str, redis_url: str, key: Secret) -> Callable[..., Any]:
    """Build a Desk: `async with desk(Config(...), sync_slice="10") as it:`."""

    @asynccontextmanager
    async def build(simulated: Config | None = None, **overrides: str) -> AsyncIterator[Desk]:
        chosen = settings(**{"graph_page_calls_per_second": "0"} | overrides)
        store = Database(database, writer=True, high=4)
        redis = connect(redis_url)
        async with (
            Simulator(simulated) as sim,
            connected(
                url=sim.url,
                version="v26.0",
                app_id=sim.config.app_id,
                app_secret=Secret(sim.config.app_secret),
            ) as client,
        ):
            keys = KeyRing([key])
            tools = Tools(
                database=store,
                graph=Graph(client, Budget(redis, chosen.graph_page_calls_per_second)),
                keys=keys,
                storing=Storing(store, Effects(Cache(redis))),
                modes=SyncModes(store, chosen),
            )
            built = Desk(sim=sim, database=store, tools=tools, keys=keys)
            await built.add_pages()
            try:
                yield built
            finally:
                await redis.aclose()
                await store.close()

    return build
