"""The queue as a command uses it: it asks, workers do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from redis.exceptions import RedisError

from ingress.cli import configuration, show
from ingress.cli.problem import Problem
from shared import queue, redis
from shared.config import Settings
from shared.queue import NOW, ApplyWaiting, Queue, SyncPage
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


async def wake(settings: Settings, page: Page, *, sync: bool) -> None:
    """Ask for what waits for a Page, or leave it to the workers' sweeps and say so."""
    try:
        async with connected(settings) as jobs:
            waiting = ApplyWaiting(page=page.facebook_page_id)
            await jobs.put(waiting, queue=NOW)
            # A worker that looked a moment ago takes the Page for unknown for another second.
            await jobs.put(waiting, after=timedelta(seconds=5))
            if sync and settings.sync_interval:
                await jobs.put(SyncPage(page=page.facebook_page_id), queue=NOW)
    except Problem as problem:
        show.note(f"The Page is stored, and goes on once Redis is back:\n{problem}")
