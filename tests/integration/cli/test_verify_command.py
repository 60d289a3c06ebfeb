"""`pagewire verify`: what is missing is named, and its exit code says whether anything is."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from shared.store import coverage, pages, runs
from shared.store.coverage import Finding, Repaired, Unlisted
from shared.store.database import Database
from shared.store.runs import Counts
from tests.integration.cli.called import Command

pytestmark = pytest.mark.usefixtures("configured")
MISSING = Finding(page_id="1", participant_id="psid", thread_id="t_1", mid="m_1")


@pytest.fixture(autouse=True)
async def _two_pages(store: Database) -> None:
    for page_id, name in (("1", "One"), ("2", "Two")):
        await pages.add(
            store, facebook_page_id=page_id, name=name, instagram_id=None, token=b"sealed"
        )


async def verify_all(store: Database) -> None:
    """Do what a worker does: Page 1 lacks a message, which is fetched if that is asked for."""
    while True:
        async with store.connection() as connection:
            rows = await connection.fetch("select id from sync_runs where status = 'queued'")
        for row in rows:
            lease = uuid4()
            for run in await runs.take(store, row["id"], lease, 1):
                lacks = run.page_id == "1"
                async with store.transaction() as connection:
                    if lacks:
                        await coverage.keep(connection, run.id, "1", MISSING)
                    if lacks and run.options["repair"]:
                        fetched = Repaired(thread_id="t_1", mid="m_1")
                        await coverage.keep(connection, run.id, "1", fetched)
                    if lacks:
                        extra = Unlisted(page_id="1", participant_id="psid", mids=("m_2",))
                        await coverage.keep(connection, run.id, "1", extra)
                counts = Counts(
                    total=9, missing=int(lacks), repaired=int(lacks and run.options["repair"])
                )
                await runs.end(store, run, lease, status="complete", counts=counts)
        await asyncio.sleep(0.01)


@asynccontextmanager
async def worker(store: Database) -> AsyncIterator[None]:
    running = asyncio.create_task(verify_all(store))
    try:
        yield
    finally:
        running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_what_is_missing_is_named(run: Command, store: Database) -> None:
    async with worker(store):
        ended = await run("verify", "1", "--json")
        shown = await run("verify", "--all")
    assert ended.status == 1
    [told] = ended.json
    assert told["missing"] == [
        {"page_id": "1", "participant_id": "psid", "thread_id": "t_1", "mid": "m_1"}
    ]
    assert told["unlisted"] == [{"page_id": "1", "participant_id": "psid", "mid": "m_2"}]
    assert "only here: page 1, person psid, message m_2" in shown.out
    assert (shown.status, "missing: page 1, thread t_1, message m_1" in shown.out) == (1, True)


async def test_a_complete_page_is_well(run: Command, store: Database) -> None:
    async with worker(store):
        ended = await run("verify", "2", "--deep", "--json")
    assert (ended.status, ended.json[0]["missing"]) == (0, [])
    assert ended.json[0]["options"] == {"deep": True, "repair": False}


async def test_of_a_history_that_is_still_being_fetched_that_is_said(
    run: Command, store: Database
) -> None:
    async with store.connection() as connection:
        await connection.execute(
            "insert into conversations (page_id, participant_id, id, platform, thread_id)"
            " values ('2', '7001', gen_random_uuid(), 'messenger', 't_1')"
        )
    async with worker(store):
        assert (
            "The history of Two is still being fetched"
            in (await run("verify", "--all", "--deep")).err
        )
        assert "history" not in (await run("verify", "2")).err


async def test_what_was_repaired_is_no_longer_missing(run: Command, store: Database) -> None:
    async with worker(store):
        ended = await run("verify", "--all", "--repair", "--json")
    assert ended.status == 0
    assert {one["page"]: one["counts"]["repaired"] for one in ended.json} == {"One": 1, "Two": 0}


async def test_a_page_that_rests_is_said_to_rest(run: Command, store: Database) -> None:
    await run("page", "pause", "1")
    assert "pagewire page resume 1" in (await run("verify", "1")).err
    async with worker(store):
        assert [one["page"] for one in (await run("verify", "--all", "--json")).json] == ["Two"]
