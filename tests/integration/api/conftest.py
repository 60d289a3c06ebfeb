"""The API over real servers, with Pages, keys, and a worker's way of writing."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from ingress.api import Deps, setup_api
from ingress.api.streams import Rhythm
from ingress.health import setup_health
from ingress.listen import Listener
from shared import config
from shared.cache import Cache
from shared.redis import connect
from shared.store import keys, pages
from shared.store.database import Database
from tests.integration.api.world import INSTAGRAM, OTHER, PAGE, World
from worker.effects import Effects


@pytest.fixture
def environ(database: str, redis_url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database,
        "DATABASE_POOL_MIN": "0",
        "REDIS_URL": redis_url,
        "TOKEN_ENCRYPTION_KEYS": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    }


@pytest.fixture
def rhythm() -> Rhythm:
    return Rhythm()


@pytest.fixture
async def world(environ: dict[str, str], rhythm: Rhythm) -> AsyncIterator[World]:
    settings = config.load(environ, wants=("database_url", "redis_url"))
    app = web.Application()
    api = setup_api(app, Deps(settings=settings, rhythm=rhythm))
    setup_health(app, None, api)
    store = Database(settings.database_url.reveal(), writer=True)
    workers_cache = Cache(connect(settings.cache_redis_url.reveal()))
    await pages.add(store, facebook_page_id=PAGE, name="Acme", instagram_id=INSTAGRAM, token=b"x")
    await pages.add(store, facebook_page_id=OTHER, name="Other", instagram_id=None, token=b"x")
    made = {}
    for name, scope, only in (
        ("admin", "admin", None),
        ("sync", "sync", None),
        ("read", "read", None),
        ("acme", "admin", [PAGE]),
        ("other", "admin", [OTHER]),
    ):
        _, secret = await keys.create(store, name=name, scope=scope, pages=only, expires=None)
        made[name] = secret.reveal()
    # unsafe: the jar takes cookies from an IP address too.
    jar = aiohttp.CookieJar(unsafe=True)
    listener = Listener(app)
    url = f"http://127.0.0.1:{await listener.start('127.0.0.1', 0)}"
    async with aiohttp.ClientSession(url, cookie_jar=jar) as http:
        world = World(listener, url, api, http, store, Effects(workers_cache), made)
        await world.until(world.follows)
        yield world
    await listener.drain()
    await listener.close()
    await workers_cache.aclose()
    await store.close()
