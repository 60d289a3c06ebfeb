"""From the backlog to the tables, on real servers."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from msgspec import Struct

from shared import queue
from shared.backlog.envelope import Envelope, Origin, pack
from shared.backlog.inbox import Inbox, InboxReader
from shared.backlog.postgres import open_pool
from shared.backlog.stream import Stream, StreamReader
from shared.cache import Cache
from shared.queue import Queue
from shared.redis import connect
from shared.store import pages
from shared.store.database import Database
from shared.store.pages import KnownPages
from worker.effects import Effects
from worker.ingest import Ingest
from worker.letters import Letters
from worker.retention import Retention
from worker.writing import Writer, Written

PAGE = "102938475610293"
NOW_MS = 1_764_000_000_000


class World(Struct):
    """One worker's parts over fresh servers."""

    database: Database
    stream: Stream
    inbox: Inbox
    letters: Letters
    readers: dict[str, Any]
    writer: Writer

    def ingest(self, backlog: str = "stream") -> Ingest:
        return Ingest(self.readers[backlog], self.writer)

    async def rows(self, sql: str, *values: object) -> list[Any]:
        async with self.database.connection() as connection:
            return [tuple(row) for row in await connection.fetch(sql, *values)]

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(20):
            while not await condition():
                await asyncio.sleep(0.01)


@pytest.fixture
async def world(database: str, redis_url: str) -> AsyncIterator[World]:
    store = Database(database, writer=True)
    cache, stream = Cache(connect(redis_url)), Stream(connect(redis_url))
    pool = await open_pool(database, size=4, patience=5)
    readers = {"stream": StreamReader(redis_url, "test"), "inbox": InboxReader(pool, "test")}
    inbox = Inbox(pool, patience=5)
    writer = Writer(store, KnownPages(store), Effects(cache), Retention())
    await pages.add(store, facebook_page_id=PAGE, name="Acme", instagram_id=None, token=None)
    arq = queue.connect(connect(redis_url).connection_pool)
    letters = Letters(store, inbox, Queue(arq))
    yield World(store, stream, inbox, letters, readers, writer)
    await arq.connection_pool.disconnect()
    await readers["stream"].aclose()
    await cache.aclose()
    await stream.aclose()
    await pool.close()
    await store.close()


def message(mid: str, text: str = "hello", page: str = PAGE) -> dict:
    return {
        "sender": {"id": "7392015648120394"},
        "recipient": {"id": page},
        "timestamp": NOW_MS,
        "message": {"mid": f"m_{mid}", "text": text},
    }


def entry(*bodies: bytes) -> bytes:
    return pack(Origin("door", "boot", 0), [Envelope("webhook", NOW_MS, body) for body in bodies])


def body(*items: dict, page: str = PAGE) -> bytes:
    told = [{"id": page, "time": NOW_MS, "messaging": [item]} for item in items]
    return json.dumps({"object": "page", "entry": told}).encode()


async def test_a_message_in_the_stream_becomes_a_row(world: World) -> None:
    await world.stream.append(entry(body(message("1"))))
    await world.ingest().drain()
    assert await world.rows("select mid, text, direction from messages") == [("m_1", "hello", "in")]
    assert await world.rows("select last_mid, last_in_ms from conversations") == [("m_1", NOW_MS)]
    assert await world.rows("select mid from raw_events") == [("m_1",)]
    assert (await world.stream.state()).length == 1


async def test_the_running_loop_takes_what_comes_and_ends_when_told(world: World) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(world.ingest().run(stop))
    for number in range(50):
        await world.stream.append(entry(body(message(str(number)))))

    async def all_there() -> bool:
        return await world.rows("select count(*) from messages") == [(50,)]

    await world.until(all_there)
    stop.set()
    await running


class Recording:
    """A writer that notes what it committed, in which order, each commit as slow as it likes."""

    def __init__(self) -> None:
        self.committed: list[Any] = []

    async def commit(self, told: Any, **_: Any) -> Written:
        await asyncio.sleep(random.uniform(0, 0.005))
        self.committed += told
        return Written()

    async def tell(self, written: Written, told: Any) -> None:
        return


async def test_of_one_conversation_what_came_first_is_committed_first(world: World) -> None:
    """However many transactions are under way at once."""
    people = [str(7392015648120394 + number) for number in range(5)]
    for number in range(40):
        items = [
            message(f"{number}.{n}") | {"sender": {"id": random.choice(people)}} for n in range(50)
        ]
        await world.stream.append(entry(body(*items)))
    writer, stop = Recording(), asyncio.Event()
    running = asyncio.create_task(Ingest(world.readers["stream"], writer).run(stop))

    async def all_there() -> bool:
        return len(writer.committed) == 2000

    await world.until(all_there)
    stop.set()
    await running
    for person in people:
        numbers = [
            tuple(map(int, one.what.mid[2:].split(".")))
            for one in writer.committed
            if one.what.participant_id == person
        ]
        assert numbers == sorted(numbers)


async def test_what_spilled_to_postgres_is_ingested_too(world: World) -> None:
    await world.inbox.append(entry(body(message("1"))))
    await world.ingest("inbox").drain()
    assert await world.rows("select mid from messages") == [("m_1",)]
    assert await world.rows("select * from webhook_inbox") == []


async def test_events_of_an_unknown_page_wait_and_are_applied_when_it_is_added(
    world: World,
) -> None:
    await world.stream.append(entry(body(message("1")), body(message("2", page="99"), page="99")))
    await world.ingest().drain()
    assert await world.rows("select mid from messages") == [("m_1",)]
    assert await world.rows("select reason, page_id from dead_letters") == [("unknown_page", "99")]
    assert await world.letters.apply_waiting() == 0
    await pages.add(world.database, facebook_page_id="99", name="B", instagram_id=None, token=None)
    assert await world.letters.apply_waiting() == 1

    async def applied() -> bool:
        await world.ingest("inbox").drain()
        return await world.rows("select mid from messages where page_id = '99'") == [("m_2",)]

    # Who asked for the Page less than a second ago may not know it yet; then it waits once more.
    async def retried() -> bool:
        await world.letters.apply_waiting()
        return await applied()

    await world.until(retried)
    assert await world.rows("select 1 from dead_letters where resolved_at is null") == []


async def test_a_refused_item_costs_its_neighbours_nothing(world: World) -> None:
    async with world.database.connection() as connection:
        await connection.execute("alter table messages add check (text <> 'poison')")
    items = [message(str(n), "poison" if n == 7 else "fine") for n in range(20)]
    await world.stream.append(entry(body(*items)))
    await world.ingest().drain()
    assert await world.rows("select count(*) from messages") == [(19,)]
    (letter,) = await world.rows("select reason, error from dead_letters")
    assert letter == ("refused", "Postgres refuses it: CheckViolationError")


async def test_bytes_nobody_can_read_are_kept(world: World) -> None:
    await world.stream.append(b"no entry of ours")
    await world.stream.append(entry(b'{"object":"page","entry":[{"id"'))
    await world.ingest().drain()
    kept = dict(await world.rows("select bytes, reason from dead_letters"))
    assert len(kept) == 2
    assert kept[b"no entry of ours"] == "unreadable"


async def test_an_entry_given_before_tells_of_all_it_names_whether_changed_or_not(
    world: World, redis_url: str
) -> None:
    """A crash between COMMIT and the announcement leaves no silent feed."""
    await world.stream.append(entry(body(message("1"))))
    (given,) = await world.readers["stream"].read(10, 1 << 20, 0)
    # Committed, then killed: nobody was told, nothing was acknowledged.
    await world.writer.write(list(_told(given)), again=False, waiting=_never)
    listener = connect(redis_url).pubsub()
    await listener.subscribe("pagewire:changes")
    restarted = StreamReader(redis_url, "test")
    (again,) = await restarted.replay_pending()
    assert again.deliveries == 2
    await Ingest(restarted, world.writer).ingest([again])
    told = await listener.get_message(ignore_subscribe_messages=True, timeout=5)
    told = told or await listener.get_message(ignore_subscribe_messages=True, timeout=5)
    assert told is not None
    assert await restarted.replay_pending() == []
    await listener.aclose()
    await listener.connection_pool.aclose()
    await restarted.aclose()


def _told(given: Any) -> Any:
    from worker.ingest import _read

    return _read(given)


async def _never() -> None:
    raise AssertionError
