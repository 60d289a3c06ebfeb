"""A redelivery costs a look and nothing else."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator

import pytest

from shared import events
from shared.events import Event
from shared.store.applying import apply
from shared.store.database import Connection, Database
from shared.store.rows import Batch, RawRow
from worker.merge import reduce

PAGE, PERSON, NOW_MS = "1", "2", 1_764_000_000_000
ABOUT = {"platform": "messenger", "page_id": PAGE, "participant_id": PERSON}


@pytest.fixture
async def store(database: str) -> AsyncIterator[Database]:
    opened = Database(database, writer=True)
    yield opened
    await opened.close()


def told(count: int) -> list[Event]:
    """Some of every kind that a redelivery may bring again."""
    found: list[Event] = []
    for n in range(count):
        mid = f"m_{n:05}"
        found += [
            events.Message(
                **ABOUT, mid=mid, direction="in", source="message", sent_ms=NOW_MS + n,
                exact=True, as_of_ms=NOW_MS + n, text=f"text {n}",
                attachments=b'[{"type":"image"}]', attachments_key=b"k", extra=b'{"a":1}',
            ),
            events.Reaction(**ABOUT, mid=mid, actor_id=PERSON, at_ms=NOW_MS, active=True),
            events.Notice(
                platform="messenger", page_id=PAGE, participant_id=PERSON, kind="optin",
                occurred_ms=NOW_MS, payload=b"{}", key=hashlib.sha256(mid.encode()).digest(),
            ),
        ]  # fmt: skip
    found.append(events.Read(**ABOUT, at_ms=NOW_MS, watermark_ms=NOW_MS))
    found.append(events.Delivery(**ABOUT, watermark_ms=NOW_MS, mids=("m_00000",)))
    return found


def batch(count: int, received_ms: int = NOW_MS) -> Batch:
    one = reduce(told(count))
    for n in range(count):
        identity = hashlib.md5(b"%d" % n).digest()
        one.raws[identity] = RawRow(
            received_ms=received_ms, identity=identity, object="page", page_id=PAGE,
            participant_id=PERSON, mid=f"m_{n:05}", bytes=b"{}", is_unsend=False,
        )  # fmt: skip
    return one


async def test_a_redelivery_writes_no_row_and_hardly_any_wal(store: Database) -> None:
    count = 300
    first = await apply(store, batch(count))
    assert first.new_messages == count
    async with store.connection() as connection:
        # What vacuum and hint bits write later is not the redelivery's doing.
        await connection.execute("vacuum (analyze)")
        await connection.execute("checkpoint")
        before = await connection.fetchval("select pg_current_wal_insert_lsn()")
    again = await apply(store, batch(count))
    async with store.connection() as connection:
        wal = await connection.fetchval("select pg_current_wal_insert_lsn() - $1::pg_lsn", before)
    assert again.changes == {}
    assert again.new_messages == 0
    assert again.mentioned == {(PAGE, PERSON)}
    assert wal < 10 * 3 * count


@pytest.mark.parametrize("hours", [-36, 36], ids=["before", "after"])
async def test_an_item_is_known_whichever_delivery_of_it_was_written_first(
    store: Database, hours: int
) -> None:
    """Each day has a partition of its own, where nothing unique knows of the others."""
    middle_ms = NOW_MS + 3 * 24 * 3_600_000
    async with store.connection() as connection:
        days = "select keep_raw_partitions(to_timestamp($1 / 1000.0), '7 days')"
        await connection.execute(days, NOW_MS)
        await apply(store, batch(1, middle_ms))
        await apply(store, batch(1, middle_ms + hours * 3_600_000))
        assert await connection.fetchval("select count(*) from raw_events") == 1


async def test_a_further_message_touches_no_index_of_its_conversation(store: Database) -> None:
    """Whatever holds its last message would have every index written to (no HOT update)."""

    def message(n: int) -> Batch:
        return reduce(
            [
                events.Message(
                    **ABOUT, mid=f"m_{n}", direction="in", source="message", sent_ms=NOW_MS + n,
                    exact=True, as_of_ms=NOW_MS + n, text="a",
                )
            ]
        )  # fmt: skip

    updates = []

    async def count(connection: Connection) -> None:
        updates.append(
            await connection.fetchval(
                "select pg_stat_get_xact_tuples_hot_updated('conversations'::regclass)"
            )
        )

    await apply(store, message(1))
    await apply(store, message(2), within=count)
    assert updates == [1]


async def test_what_a_sync_confirms_is_written_but_not_told(store: Database) -> None:
    """Graph's later word on the same text moves its date, which no reader sees."""
    one = events.Message(
        **ABOUT, mid="m_1", direction="in", source="message", sent_ms=NOW_MS, exact=True,
        as_of_ms=NOW_MS, text="same",
    )  # fmt: skip
    await apply(store, reduce([one]))
    graph = events.Message(
        **ABOUT, mid="m_1", direction="in", source="graph", sent_ms=NOW_MS // 1000 * 1000,
        exact=False, as_of_ms=NOW_MS + 60_000, text="same",
    )  # fmt: skip
    applied = await apply(store, reduce([graph]))
    assert applied.changes == {}
    late_edit = events.Edit(
        **ABOUT, mid="m_1", direction="in", at_ms=NOW_MS + 1, num_edit=1, text="older"
    )
    await apply(store, reduce([late_edit]))
    async with store.connection() as connection:
        assert await connection.fetchval("select text from messages") == "same"


async def test_two_writers_of_one_item_at_the_same_moment_keep_it_once(store: Database) -> None:
    """Both have looked before either has written, and nothing but the item tells them apart."""
    await apply(store, batch(1))
    identity = hashlib.md5(b"a read").digest()

    def read() -> Batch:
        one = reduce([events.Read(**ABOUT, at_ms=NOW_MS + 5, watermark_ms=NOW_MS + 5)])
        one.raws[identity] = RawRow(
            received_ms=NOW_MS, identity=identity, object="page", page_id=PAGE,
            participant_id=PERSON, mid=None, bytes=b"{}", is_unsend=False,
        )  # fmt: skip
        return one

    wrote, may_commit = asyncio.Event(), asyncio.Event()

    async def wait(_: Connection) -> None:
        wrote.set()
        await may_commit.wait()

    first = asyncio.create_task(apply(store, read(), within=wait))
    await wrote.wait()
    second = asyncio.create_task(apply(store, read()))
    async with store.connection() as connection:
        waits = "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
        async with asyncio.timeout(10):
            while not await connection.fetch(waits):
                await asyncio.sleep(0.01)
    may_commit.set()
    await asyncio.gather(first, second)
    async with store.connection() as connection:
        kept = "select count(*) from raw_events where identity = $1"
        assert await connection.fetchval(kept, uuid.UUID(bytes=identity)) == 1
