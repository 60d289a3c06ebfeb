"""What is stored is a join: order, repetition and batching do not matter."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from asyncpg.pool import PoolConnectionProxy
from msgspec.structs import asdict

from shared import events
from shared.store.applying import apply
from shared.store.database import Database
from shared.store.rows import Batch
from tests.integration.store.histories import history
from worker.merge import reduce

TABLES = ("messages", "reactions", "conversations", "tags", "conversation_tags", "events")


@pytest.fixture
async def store(database: str) -> AsyncIterator[Database]:
    opened = Database(database, writer=True)
    yield opened
    await opened.close()


async def dump(store: Database) -> dict[str, list[str]]:
    """Every row of every table that events write, as text."""
    async with store.connection() as connection:
        return {
            table: [
                row[0]
                for row in await connection.fetch(f"select t::text from {table} t order by 1")
            ]
            for table in TABLES
        }


async def empty(store: Database) -> None:
    async with store.connection() as connection:
        await connection.execute(f"truncate {', '.join(TABLES)}, changes")


@pytest.mark.parametrize("seed", range(12))
async def test_any_order_repetition_and_cut_gives_the_same_rows(store: Database, seed: int) -> None:
    told = history(seed, 40)
    await apply(store, reduce(told))
    expected = await dump(store)
    dice = random.Random(seed)
    for _ in range(4):
        await empty(store)
        shuffled = told + dice.sample(told, 10)
        dice.shuffle(shuffled)
        while shuffled:
            size = dice.choice((1, 2, 5, 20))
            await apply(store, reduce(shuffled[:size]))
            del shuffled[:size]
        assert await dump(store) == expected


async def test_python_and_sql_join_ten_thousand_random_pairs_alike(store: Database) -> None:
    pairs = []
    for seed in range(20_000):
        first, second = history(seed, 2, mids=1)
        pairs.append((first, second))
        if len(pairs) == 10_000:
            break
    first_batch, second_batch, joined = Batch(), Batch(), Batch()
    for n, (first, second) in enumerate(pairs):
        for told, batches in ((first, (first_batch, joined)), (second, (second_batch, joined))):
            for batch in batches:
                _take(batch, reduce([told]), n)
    for batch in (first_batch, second_batch):
        await apply(store, batch)
    async with store.connection() as connection:
        for table, rows in (("messages", joined.messages), ("reactions", joined.reactions)):
            stored = {
                (row["page_id"], row["mid"]): row
                for row in await connection.fetch(f"select * from {table}")
            }
            assert len(stored) == len(rows) > 1_000
            for key, row in rows.items():
                expected = asdict(row)
                if expected.get("attachments"):
                    expected["attachments"] = stored[key[:2]]["attachments"]
                found = {name: stored[key[:2]][name] for name in expected}
                assert found == expected


def _take(batch: Batch, one: Batch, number: int) -> None:
    """Put a batch's message and reaction rows into another under mids of their own."""
    for source, target in ((one.messages, batch.messages), (one.reactions, batch.reactions)):
        for row in source.values():
            row.mid = f"{row.mid}-{number:05}"
            key = (row.page_id, row.mid) + ((row.actor_id,) if hasattr(row, "actor_id") else ())
            if key in target:
                target[key].join(row)
            else:
                target[key] = row.__copy__()


async def test_a_message_that_another_writer_stores_after_the_look_is_no_new_one(
    store: Database,
) -> None:
    """The plan does not hold then, and is made anew."""
    told = [one for one in history(0, 200) if isinstance(one, events.Message)][:20]
    written, go_on = asyncio.Event(), asyncio.Event()

    async def pause(_: object) -> None:
        written.set()
        await go_on.wait()

    first = asyncio.create_task(apply(store, reduce(told), pause))
    await written.wait()
    second = asyncio.create_task(apply(store, reduce(told)))

    async def waits() -> bool:
        async with store.connection() as connection:
            sql = "select count(*) from pg_locks where not granted"
            return bool(await connection.fetchval(sql))

    async with asyncio.timeout(10):
        while not await waits():
            await asyncio.sleep(0.01)
    go_on.set()
    applied, again = await first, await second
    assert applied.new_messages > 0
    assert (again.new_messages, again.new_conversations, again.changes) == (0, set(), {})
    assert again.mentioned
    async with store.connection() as connection:
        assert await connection.fetchval("select count(*) from changes") == len(applied.changes)


async def test_new_messages_are_written_without_begin_and_commit(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two statements do, unless there is something to be written beside them."""
    told = [one for one in history(0, 200) if isinstance(one, events.Message)][:20]

    def refused(_: object) -> None:
        raise AssertionError("no transaction is needed")

    monkeypatch.setattr(PoolConnectionProxy, "transaction", refused)
    assert (await apply(store, reduce(told))).new_messages > 0
    with pytest.raises(AssertionError):
        await apply(store, reduce([one for one in history(0, 200) if isinstance(one, events.Edit)]))
