"""Whoever reads the change feed misses nothing, whatever order transactions commit in."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from shared.store import feed
from shared.store.database import Connection, Database
from shared.store.feed import Consumer, Forgotten
from tests.stack import ROOT

PAGE = "1001"


@pytest.fixture
async def store(database: str) -> AsyncIterator[Database]:
    opened = Database(database)
    yield opened
    await opened.close()


async def change(connection: Connection, person: str, page: str = PAGE) -> None:
    await connection.execute(
        "insert into changes (page_id, participant_id, conversation_id, kinds)"
        " values ($1, $2, $3, '{message}')",
        page,
        person,
        uuid4(),
    )


async def changed(store: Database, *people: str) -> None:
    for person in people:
        async with store.connection() as connection:
            await change(connection, person)


async def seen(store: Database, position: str, most: int = 100) -> tuple[list[str], str]:
    look = await feed.since(store, None, position, most=most)
    return [one.participant_id for one in look.changes], look.position


async def test_a_change_with_a_lower_id_that_commits_later_is_not_skipped(store: Database) -> None:
    position = await feed.now(store)
    async with store.transaction() as slow:
        await change(slow, "slow")
        await changed(store, "quick")
        found, position = await seen(store, position)
        assert found == ["quick"]
        assert (await seen(store, position))[0] == []
    found, position = await seen(store, position)
    assert found == ["slow"]
    assert (await seen(store, position))[0] == []


async def test_a_long_writer_elsewhere_delays_nobody(store: Database) -> None:
    async with store.transaction() as elsewhere:
        await elsewhere.execute("create temporary table busy (n int)")
        position = await feed.now(store)
        for person in ("one", "two"):
            await changed(store, person)
            found, position = await seen(store, position)
            assert found == [person]


async def test_what_was_rolled_back_was_never_there(store: Database) -> None:
    position = await feed.now(store)
    async with store.connection() as connection:
        undone = connection.transaction()
        await undone.start()
        await change(connection, "undone")
        await undone.rollback()
    assert (await seen(store, position))[0] == []


async def test_resuming_by_number_repeats_and_never_skips(store: Database) -> None:
    async with store.transaction() as slow:
        await change(slow, "slow")
        await changed(store, "quick")
        number = feed.safe(await feed.now(store))
    found, _ = await seen(store, feed.resumed(number))
    assert found == ["slow", "quick"]


@pytest.mark.parametrize("number", ["", "0", "-1", "x", "1:2:", "١", "9" * 30, str(1 << 62)])
async def test_what_is_no_position_of_this_feed_is_taken_for_forgotten(
    store: Database, number: str
) -> None:
    with pytest.raises(Forgotten):
        await feed.since(store, None, feed.resumed(number), most=1)


async def test_many_writers_in_any_order_are_all_seen_exactly_once(store: Database) -> None:
    position, found = await feed.now(store), []

    async def write(number: int) -> None:
        async with store.transaction() as connection:
            await change(connection, str(number))
            await asyncio.sleep(random.choice((0, 0.001, 0.02)))

    async def write_all(first: int) -> None:
        for number in range(first, 200, 4):
            await write(number)

    writing = asyncio.gather(*(write_all(first) for first in range(4)))
    while not writing.done():
        new, position = await seen(store, position, most=1000)
        found += new
    found += (await seen(store, position, most=1000))[0]
    assert sorted(found, key=int) == [str(number) for number in range(200)]


async def test_a_consumer_gets_everything_in_slices_and_goes_on_where_it_was(
    store: Database,
) -> None:
    assert await Consumer(store, "indexer").read() == []
    async with store.transaction() as slow:
        await change(slow, "slow")
        await changed(store, *"abcde")
        consumer = Consumer(store, "indexer")
        assert [one.participant_id for one in await consumer.read(2)] == ["a", "b"]
        # It died before it was done.
        consumer = Consumer(store, "indexer")
        assert [one.participant_id for one in await consumer.read(2)] == ["a", "b"]
        await consumer.done()
    await changed(store, "f")
    found = []
    while changes := await Consumer(store, "indexer").read(2):
        consumer = Consumer(store, "indexer")
        found += [one.participant_id for one in await consumer.read(2)]
        assert len(changes) <= 2
        await consumer.done()
    assert sorted(found) == ["c", "d", "e", "f", "slow"]


async def test_a_consumer_sees_its_pages_only(store: Database) -> None:
    consumer = Consumer(store, "indexer", pages=["2002"])
    await consumer.read()
    async with store.connection() as connection:
        await change(connection, "ours", page="2002")
        await change(connection, "theirs")
    assert [one.participant_id for one in await consumer.read()] == ["ours"]


async def test_a_consumer_whose_pages_are_silent_for_days_is_not_left_behind(
    store: Database,
) -> None:
    consumer = Consumer(store, "indexer", pages=["2002"])
    await consumer.read()
    await changed(store, "theirs")
    async with store.connection() as connection:
        await connection.execute("update changes set at = now() - interval '25 hours'")
        await connection.execute("update feed_consumers set moved_at = now() - interval '2 hours'")
    assert await consumer.read() == []
    await feed.forget(store)
    async with store.connection() as connection:
        await change(connection, "ours", page="2002")
    assert [one.participant_id for one in await consumer.read()] == ["ours"]


async def test_old_changes_go_and_whoever_had_not_seen_them_is_told(store: Database) -> None:
    consumer, position = Consumer(store, "indexer"), await feed.now(store)
    await consumer.read()
    await changed(store, "old", "older")
    async with store.connection() as connection:
        await connection.execute("update changes set at = now() - interval '25 hours'")
    later = await feed.now(store)
    await changed(store, "new")
    await feed.forget(store)
    async with store.connection() as connection:
        assert await connection.fetchval("select array_agg(participant_id) from changes") == ["new"]
    for read in (consumer.read(), feed.since(store, None, position, most=9)):
        with pytest.raises(Forgotten):
            await read
    assert (await seen(store, later))[0] == ["new"]
    await consumer.restart()
    assert await consumer.read() == []


async def test_only_what_is_old_is_forgotten(store: Database) -> None:
    await changed(store, "new")
    await feed.forget(store)
    async with store.connection() as connection:
        assert await connection.fetchval("select count(*) from changes") == 1
    await feed.forget(store, timedelta())
    async with store.connection() as connection:
        assert await connection.fetchval("select count(*) from changes") == 0


async def test_the_guides_example_goes_on_where_it_was_killed(
    store: Database, database: str
) -> None:
    async def started() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "deploy/guides/examples/follow_changes.py", "example"),
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "DATABASE_URL": database},
            stdout=asyncio.subprocess.PIPE,
        )

    await Consumer(store, "example").read()
    for person in ("first", "second"):
        example = await started()
        assert example.stdout is not None
        await changed(store, person)
        line = ""
        while str(await of(store, person)) not in line:
            line = (await asyncio.wait_for(example.stdout.readline(), 20)).decode()
        assert line.split()[1:] == ["message"]
        example.kill()
        await example.wait()


async def of(store: Database, person: str) -> UUID:
    async with store.connection() as connection:
        return await connection.fetchval(
            "select conversation_id from changes where participant_id = $1", person
        )
