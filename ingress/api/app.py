"""The API put together: what it is built from, its middleware, how it starts and stops."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from msgspec import Struct

from ingress.api import problems
from ingress.api.callers import Callers
from ingress.api.conversations import Conversations
from ingress.api.dead import DeadLetters
from ingress.api.directory import Directory
from ingress.api.docs import setup_docs
from ingress.api.hub import Hub
from ingress.api.jobs import Jobs
from ingress.api.live import Live
from ingress.api.ops import Ops
from ingress.api.pages import Pages
from ingress.api.routes import routes_of, serve
from ingress.api.session import Sessions
from ingress.api.streams import Rhythm, Streams
from ingress.api.sums import Sums
from ingress.api.sync import Syncs
from shared import log, queue
from shared.cache import Cache
from shared.config import Settings
from shared.crypto import KeyRing
from shared.heartbeat import Heartbeat
from shared.queue import Queue
from shared.redis import connect
from shared.store.database import Database
from shared.tasks import end

_log = log.get(__name__)

CACHE_SECONDS = 0.5
"""What a cached answer may wait for Redis: longer than that, Postgres is quicker."""

QUERY_SECONDS = 10.0

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Deps(Struct, frozen=True):
    """What the API is built from."""

    settings: Settings
    rhythm: Rhythm = Rhythm()


class Api:
    """The API of this process; nothing is connected before it is used."""

    def __init__(self, deps: Deps) -> None:
        settings = deps.settings
        self.database = _database(settings, settings.database_url.reveal())
        self._replica = self.database
        if settings.database_read_url != settings.database_url:
            self._replica = _database(settings, settings.database_read_url.reveal())
        self.cache = Cache(
            connect(settings.cache_redis_url.reveal(), size=50, timeout=CACHE_SECONDS),
            settings.cache_ttl,
        )
        self._redis = connect(settings.redis_url.reveal())
        self._hub = Hub(self.database, self.cache, heartbeat=deps.rhythm.heartbeat)
        directory = Directory(self.database)
        self.callers = Callers(self.database, directory)
        self.streams = Streams(self.callers, deps.rhythm)
        sums = Sums(self.database)
        jobs = Jobs(self.database, self.streams)
        asked = Queue(queue.connect(self._redis.connection_pool))
        self.ops = Ops(
            self.database, self._redis, self.cache, directory, jobs, asked, self._hub, self.streams
        )
        self._heartbeat = Heartbeat(
            self._redis,
            name=f"{socket.gethostname()}:ingress:{os.getpid()}",
            kind="ingress",
            numbers=self._pool_numbers,
        )
        keys = settings.token_encryption_keys
        self.resources: Sequence[object] = (
            Conversations(self.database, self._replica, directory, self.cache),
            Live(directory, self._hub, self.streams),
            Syncs(self.database, directory, asked, jobs),
            jobs,
            Pages(
                self.database,
                directory,
                jobs,
                sums,
                asked,
                self._redis,
                self.cache,
                KeyRing(keys) if keys else None,
                sync_interval=settings.sync_interval,
            ),
            Sessions(self.database, self.callers),
            DeadLetters(self.database, asked),
            self.ops,
        )

    async def run(self, _: web.Application) -> AsyncIterator[None]:
        """Keep the feed flowing, and close what was opened."""
        beating = self._heartbeat.run(asyncio.Event())
        works = (self._hub.listen(), self._hub.read(), self.ops.run(), beating)
        tasks = {asyncio.create_task(work) for work in works}
        yield
        await end(tasks)
        await self.cache.aclose()
        await self._redis.aclose()
        await self.database.close()
        await self._replica.close()

    def _pool_numbers(self) -> dict[str, float]:
        pools = {self.database, self._replica}
        return {
            "pool_in_use": sum(pool.in_use for pool in pools),
            "pool_max": sum(pool.most for pool in pools),
        }

    async def end_streams(self, _: web.Application) -> None:
        """End what would otherwise hold the shutdown up."""
        self.streams.close()


def setup_api(app: web.Application, deps: Deps) -> Api:
    """Put the API under `/api/` of an application, whose own routes there come first."""
    api = Api(deps)
    sub = web.Application(middlewares=[_answer_errors])
    routes = routes_of(api.resources)
    setup_docs(sub, routes)
    for route in routes:
        sub.router.add_route(route.method, route.pattern, serve(route, api.callers))
    sub.on_response_prepare.append(_dress)
    sub.on_shutdown.append(api.end_streams)
    sub.cleanup_ctx.append(api.run)
    app.add_subapp("/api/", sub)
    return api


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(_as_the_proxy_got_it(request))
    except Exception as error:
        # Whatever it is, the client is told in one form.
        return problems.response(problems.explain(error))


def _as_the_proxy_got_it(request: web.Request) -> web.Request:
    """Return the request as one over TLS if it came so to the proxy before us.

    Who claims so falsely harms nobody else: his own cookie would then be good for TLS alone.
    """
    if request.headers.get(hdrs.X_FORWARDED_PROTO) == "https":
        return request.clone(scheme="https")
    return request


async def _dress(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


def _database(settings: Settings, dsn: str) -> Database:
    return Database(
        dsn,
        low=settings.database_pool_min,
        high=settings.database_pool_max,
        timeout=QUERY_SECONDS,
    )
