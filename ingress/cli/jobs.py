"""The queue as a command uses it: it asks, workers do."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from redis.exceptions import RedisError

from ingress.cli import configuration, show
from ingress.cli.problem import Problem
from shared import log, queue, redis
from shared.cache import Cache
from shared.config import Settings
from shared.queue import Queue
from shared.store.pages import Page


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Queue]:
    """Lend the queue of REDIS_URL; an outage within becomes a Problem."""
    if not settings.redis_url:
        raise Problem("REDIS_URL is not set.", todo=configuration.advice("REDIS_URL"))
    client = redis.connect(settings.redis_url.reveal(), size=2)
    try:
        yield Queue(queue.connect(client.connection_pool))
    except (RedisError, OSError) as error:
        raise Problem(
            "Redis does not answer.",
            f"At REDIS_URL: {type(error).__name__}.",
            configuration.advice("REDIS_URL"),
        ) from error
    finally:
        await client.aclose()


async def follow(settings: Settings, changed: Iterable[Page] = (), *, sync: bool = False) -> None:
    """Have everything follow a change of Pages: cached answers, what waited for them, their syncs.

    Without Redis it is left to the workers' sweeps, and that is said.
    """
    log.configure("warning", settings.log_format)
    try:
        async with connected(settings) as jobs:
            for page in changed:
                await jobs.welcome(
                    page.facebook_page_id, sync=sync and bool(settings.sync_interval)
                )
    except Problem as problem:
        show.note(f"What is stored stays so, and goes on once Redis is back:\n{problem}")
        return
    # Answers show the names and states of Pages.
    cache = Cache(redis.connect(settings.cache_redis_url.reveal(), size=1))
    await cache.renew()
    await cache.aclose()
