"""`pagewire sync`: asks for a run, and with --wait follows what the workers store of it."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from ingress.cli.following import said
from shared import queue
from shared.queue import NOW, SyncStep
from shared.store import pages, runs
from shared.store.database import Database
from shared.store.progress import Progress
from shared.store.runs import Counts, Run
from tests.integration.cli.called import Command

pytestmark = pytest.mark.usefixtures("configured")


@pytest.fixture(autouse=True)
async def _two_pages(store: Database) -> None:
    for page_id, name in (("1", "One"), ("2", "Two")):
        await pages.add(
            store, facebook_page_id=page_id, name=name, instagram_id=None, token=b"sealed"
        )


async def end_next(store: Database, failing: str = "") -> None:
    """Do what a worker does: take what was asked for and end it."""
    while True:
        async with store.connection() as connection:
            rows = await connection.fetch("select id from sync_runs where status = 'queued'")
        for row in rows:
            lease = uuid4()
            for run in await runs.take(store, row["id"], lease, 1):
                failed = run.page_id == failing
                await runs.end(
                    store,
                    run,
                    lease,
                    status="failed" if failed else "complete",
                    counts=Counts(total=7, synced=7, inserted=30),
                    error="Facebook refuses the request." if failed else None,
                )
        await asyncio.sleep(0.01)


@asynccontextmanager
async def worker(store: Database, failing: str = "") -> AsyncIterator[None]:
    running = asyncio.create_task(end_next(store, failing))
    try:
        yield
    finally:
        running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def asked_of_workers(redis_url: str) -> list[object]:
    async with Redis.from_url(redis_url) as client:
        ids = await client.zrange(NOW, 0, -1)
        return [queue.decode(await client.get(b"arq:job:" + one))["a"][0] for one in ids]


async def test_a_sync_is_noted_and_a_worker_woken(
    run: Command, store: Database, redis_url: str
) -> None:
    asked = await run("sync", "1", "--json")
    assert (asked.status, asked.json["page"], asked.json["status"]) == (0, "One", "queued")
    assert await asked_of_workers(redis_url) == [SyncStep(run_id=asked.json["id"])]
    again = await run("sync", "1", "--json")
    assert again.json["id"] == asked.json["id"]


async def test_waiting_ends_with_the_sync(run: Command, store: Database) -> None:
    async with worker(store):
        ended = await run("sync", "1", "--full", "--wait", "--json")
    assert (ended.status, ended.err) == (0, "")
    assert ended.json["status"] == "complete"
    assert ended.json["counts"]["inserted"] == 30


async def test_waiting_for_all_pages_tells_of_each(run: Command, store: Database) -> None:
    async with worker(store, failing="2"):
        ended = await run("sync", "--all", "--wait", "--json")
    assert ended.status == 1
    assert {one["page"]: one["status"] for one in ended.json} == {
        "One": "complete",
        "Two": "failed",
    }
    async with worker(store):
        assert "One" in (await run("sync", "--all", "--wait")).out


async def test_a_page_that_rests_is_said_to_rest(run: Command, store: Database) -> None:
    await run("page", "pause", "1")
    ended = await run("sync", "1", "--wait")
    assert (ended.status, ended.out) == (1, "")
    assert "One rests." in ended.err
    assert "pagewire page resume 1" in ended.err


async def test_a_page_that_is_parked_under_the_sync_ends_the_wait(
    run: Command, store: Database
) -> None:
    async def park() -> None:
        asked: list[Run] = []
        while not asked:
            async with store.connection() as connection:
                asked = await connection.fetch("select id from sync_runs")
        lease = uuid4()
        [taken] = await runs.take(store, asked[0]["id"], lease, 1)
        await runs.park(store, taken, "The token has expired.")
        await runs.leave(
            store, taken, lease,
            status="interrupted", resume_at=None, tries=0, counts=Counts(), error="No token.",
        )  # fmt: skip

    parking = asyncio.create_task(park())
    ended = await run("sync", "1", "--wait", "--json")
    await parking
    assert (ended.status, ended.json["status"]) == (1, "interrupted")


async def test_without_redis_the_sync_is_noted_and_that_is_said(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    ended = await run("sync", "1", "--json")
    assert (ended.status, ended.json["status"]) == (0, "queued")
    assert "REDIS_URL" in ended.err


@pytest.mark.parametrize("wrong", [[], ["1", "--all"]])
async def test_which_page_must_be_said(run: Command, wrong: list[str]) -> None:
    assert (await run("sync", *wrong)).status == 2


async def test_a_wait_that_nobody_ends_says_what_may_be_missing(
    run: Command, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, loop = asyncio.Event(), asyncio.get_running_loop()

    def note(text: str) -> None:
        print(text, file=sys.stderr)
        loop.call_soon_threadsafe(said.set)

    monkeypatch.setattr("ingress.cli.following.PATIENCE", 0)
    monkeypatch.setattr("ingress.cli.show.note", note)
    waiting = asyncio.create_task(run("sync", "1", "--wait"))
    await said.wait()
    async with worker(store):
        ended = await waiting
    assert "No worker has begun yet" in ended.err


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (Progress(done=3, total=None, left=None), "3 conversations, of an unknown number"),
        (Progress(done=3, total=9, left=None), "3 of about 9 conversations"),
        (
            Progress(done=3, total=9, left=timedelta(seconds=61.4)),
            "3 of about 9 conversations, about 0:01:01 left",
        ),
    ],
)
def test_the_progress_bar_says_what_is_known_and_no_more(progress: Progress, words: str) -> None:
    assert said(progress) == words
