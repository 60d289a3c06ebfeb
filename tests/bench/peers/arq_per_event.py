"""One arq job an event, picked up every 5 ms: `arq_per_event web` and `arq_per_event worker`."""

import sys
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
from aiohttp import web
from arq import ArqRedis, create_pool, func, run_worker
from arq.connections import RedisSettings

from tests.bench.peers.common import PORT, POSTGRES, REDIS, STORE, is_signed, rows

QUEUE: web.AppKey[ArqRedis] = web.AppKey("queue")
SETTINGS = RedisSettings(unix_socket_path=REDIS.removeprefix("unix://").partition("?")[0])


async def receive(request: web.Request) -> web.Response:
    body = await request.read()
    if not is_signed(body, request.headers.get("X-Hub-Signature-256", "")):
        return web.Response(status=403)
    for row in rows(body):
        await request.app[QUEUE].enqueue_job("store", row, _job_id=row.mid)
    return web.Response()


async def queue(app: web.Application) -> AsyncIterator[None]:
    app[QUEUE] = await create_pool(SETTINGS)
    yield
    await app[QUEUE].aclose()


async def store(context: dict[str, Any], row: tuple[object, ...]) -> None:
    await context["pool"].execute(STORE, *row)


async def open_pool(context: dict[str, Any]) -> None:
    context["pool"] = await asyncpg.create_pool(POSTGRES, min_size=10, max_size=10)


async def close_pool(context: dict[str, Any]) -> None:
    await context["pool"].close()


class Worker:
    """The settings arq reads."""

    functions = (func(store, keep_result=0),)
    redis_settings = SETTINGS
    on_startup = open_pool
    on_shutdown = close_pool
    poll_delay = 0.005
    max_jobs = 100
    max_tries = 1000


def main() -> None:
    if sys.argv[1] == "worker":
        run_worker(Worker)
        return
    app = web.Application()
    app.cleanup_ctx.append(queue)
    app.router.add_post("/api/webhook", receive)
    web.run_app(app, host="127.0.0.1", port=PORT, access_log=None, print=None)


if __name__ == "__main__":
    main()
