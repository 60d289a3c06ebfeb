"""FastAPI and Celery: one task an event, acknowledged late, one at a time in a conversation.

Runs in an environment of its own: `uvicorn …:web` and `celery -A …:tasks worker`.
"""

import random

import psycopg
from celery import Celery, Task
from celery.signals import worker_process_init
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from redis import Redis

from tests.bench.peers.common import POSTGRES, REDIS, STORE, Row, is_signed, rows

LOCK_SECONDS = 10
SOCKET = REDIS.removeprefix("unix://").partition("?")[0]

tasks = Celery("peer", broker=f"redis+socket://{SOCKET}")
tasks.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=4,
    broker_connection_retry_on_startup=True,
)
web = FastAPI(openapi_url=None)
connections: list[psycopg.Connection] = []
locks = Redis(unix_socket_path=SOCKET)


@web.post("/api/webhook")
async def receive(request: Request) -> Response:
    body = await request.body()
    if not is_signed(body, request.headers.get("x-hub-signature-256", "")):
        return Response(status_code=403)
    await run_in_threadpool(_enqueue, rows(body))
    return Response()


def _enqueue(told: list[Row]) -> None:
    for row in told:
        store.apply_async((row,))


@worker_process_init.connect
def connect(**_: object) -> None:
    connections.append(psycopg.connect(POSTGRES, autocommit=True, cursor_factory=psycopg.RawCursor))


@tasks.task(bind=True, max_retries=None)
def store(self: Task, row: list[object]) -> None:
    lock = locks.lock(f"lock:{row[0]}:{row[2]}", timeout=LOCK_SECONDS)
    if not lock.acquire(blocking=False):
        raise self.retry(countdown=random.uniform(0.05, 0.2))
    try:
        connections[0].execute(STORE, row)
    finally:
        lock.release()
