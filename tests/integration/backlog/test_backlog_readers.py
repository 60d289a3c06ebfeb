"""What a worker may rely on, whichever of the two places an entry comes from."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.backlog.envelope import Entry, Envelope, Origin, pack
from shared.backlog.inbox import Inbox, InboxReader
from shared.backlog.postgres import open_pool
from shared.backlog.stream import GROUP, KEY, Stream, StreamReader
from shared.redis import connect


class InRedis:
    """The stream, with as many slots as a test wants."""

    def __init__(self, url: str) -> None:
        self.redis = connect(url)
        self.url = url
        self.place = Stream(self.redis)
        self.readers: list[StreamReader] = []

    def reader(self, slot: str) -> StreamReader:
        self.readers.append(StreamReader(self.url, slot))
        return self.readers[-1]

    async def age(self, entry: Entry) -> None:
        """Let twenty seconds pass for an entry somebody was given."""
        (row,) = await self.redis.xpending_range(KEY, GROUP, entry.id, entry.id, 1)
        await self.redis.xclaim(
            KEY, GROUP, row["consumer"], 0, [entry.id], idle=20_000, justid=True
        )

    async def aclose(self) -> None:
        for reader in self.readers:
            await reader.aclose()
        await self.place.aclose()


class InPostgres:
    """The inbox, with as many slots as a test wants."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.place = Inbox(pool, patience=5)

    def reader(self, slot: str) -> InboxReader:
        return InboxReader(self.pool, slot)

    async def age(self, entry: Entry) -> None:
        async with self.pool.acquire() as connection:
            await connection.execute(
                "update webhook_inbox set claimed_until = claimed_until - interval '20 s'"
                " where id = $1",
                int(entry.id),
            )

    async def aclose(self) -> None:
        await self.pool.close()


@pytest.fixture
async def stream(redis_url: str) -> AsyncIterator[InRedis]:
    async with contextlib.aclosing(InRedis(redis_url)) as found:
        yield found


@pytest.fixture
async def inbox(database: str) -> AsyncIterator[InPostgres]:
    pool = await open_pool(database, size=4, patience=5)
    async with contextlib.aclosing(InPostgres(pool)) as found:
        yield found


@pytest.fixture(params=["stream", "inbox"])
def backlog(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def packed(number: int, *bodies: bytes) -> bytes:
    origin = Origin("door", "boot", number)
    return pack(origin, [Envelope("webhook", 1_764_000_000_000, body) for body in bodies])


async def test_an_entry_arrives_whole_with_its_origin(backlog: Any) -> None:
    await backlog.place.append(packed(7, b"one", b"two"))
    (entry,) = await backlog.reader("a").read(10, 1 << 20, 0)
    assert [envelope.body for envelope in entry.envelopes] == [b"one", b"two"]
    assert entry.origin == Origin("door", "boot", 7)
    assert entry.deliveries == 1
    assert entry.size == len(packed(7, b"one", b"two"))


async def test_entries_come_in_order_and_each_to_one_slot(backlog: Any) -> None:
    for number in range(20):
        await backlog.place.append(packed(number, b"x"))
    readers = [backlog.reader("a"), backlog.reader("b")]
    given = [await reader.read(10, 1 << 30, 0) for reader in readers for _ in range(12)]
    origins = [entry.origin.first_sequence for entries in given for entry in entries]
    assert origins == list(range(20))


async def test_what_was_acknowledged_never_comes_again(backlog: Any) -> None:
    await backlog.place.append(packed(0, b"x"))
    reader = backlog.reader("a")
    entries = await reader.read(10, 1 << 20, 0)
    await reader.ack(entries)
    for again in (reader, backlog.reader("a")):
        assert await again.read(10, 1 << 20, 0) == []
        assert await again.replay_pending() == []
        assert await again.claim_stale() == []


async def test_a_restarted_slot_takes_what_it_had_and_counts_the_delivery(backlog: Any) -> None:
    for number in range(3):
        await backlog.place.append(packed(number, b"x"))
    before = await _all(backlog.reader("a"))
    assert await backlog.reader("b").replay_pending() == []
    again = await _drain(backlog.reader("a").replay_pending)
    assert [(entry.id, entry.deliveries) for entry in again] == [(e.id, 2) for e in before]


async def test_a_slot_does_not_take_again_what_it_holds(backlog: Any) -> None:
    await backlog.place.append(packed(0, b"x"))
    reader = backlog.reader("a")
    (entry,) = await reader.read(10, 1 << 20, 0)
    await backlog.age(entry)
    assert await reader.replay_pending() == []
    assert await reader.claim_stale() == []


async def test_what_was_let_go_is_taken_again_at_once(backlog: Any) -> None:
    await backlog.place.append(packed(0, b"x"))
    reader = backlog.reader("a")
    (entry,) = await reader.read(10, 1 << 20, 0)
    reader.let_go()
    (again,) = await reader.replay_pending()
    assert (again.id, again.deliveries) == (entry.id, 2)


async def test_entries_of_the_dead_are_claimed_by_another_and_those_of_the_living_are_not(
    backlog: Any,
) -> None:
    for number in range(2):
        await backlog.place.append(packed(number, b"x"))
    dead, living = await _all(backlog.reader("a"))
    other = backlog.reader("b")
    assert await other.claim_stale() == []
    await backlog.age(dead)
    (claimed,) = await other.claim_stale()
    assert (claimed.id, claimed.deliveries) == (dead.id, 2)
    assert living.id != claimed.id


async def test_an_entry_that_is_held_is_not_stale(backlog: Any) -> None:
    await backlog.place.append(packed(0, b"x"))
    reader = backlog.reader("a")
    entries = await reader.read(10, 1 << 20, 0)
    await backlog.age(entries[0])
    await reader.hold(entries)
    assert await backlog.reader("b").claim_stale() == []


async def test_holding_forgives_deliveries_only_when_told(backlog: Any) -> None:
    await backlog.place.append(packed(0, b"x"))
    await _all(backlog.reader("a"))
    for forgive, deliveries in ((False, 3), (True, 2)):
        reader = backlog.reader("a")
        entries = await reader.replay_pending()
        await reader.hold(entries, forgive=forgive)
        (again,) = await backlog.reader("a").replay_pending()
        assert again.deliveries == deliveries


async def test_a_read_waits_for_what_comes(backlog: Any) -> None:
    reading = asyncio.create_task(backlog.reader("a").read(10, 1 << 20, 5000))
    await asyncio.sleep(0.05)
    assert not reading.done()
    await backlog.place.append(packed(0, b"x"))
    async with asyncio.timeout(2):
        assert len(await reading) == 1


async def test_a_read_that_finds_nothing_returns_in_time(backlog: Any) -> None:
    started = time.monotonic()
    assert await backlog.reader("a").read(10, 1 << 20, 60) == []
    assert 0.05 < time.monotonic() - started < 2


async def test_a_read_is_bounded_in_bytes(backlog: Any) -> None:
    for number in range(12):
        await backlog.place.append(packed(number, b"x" * 300_000))
    reader = backlog.reader("a")
    sizes = []
    while entries := await reader.read(64, 1 << 20, 0):
        sizes.append(sum(entry.size for entry in entries))
    assert sum(sizes) > 12 * 300_000
    assert max(sizes) <= 1 << 20
    assert len(sizes) < 12


async def test_an_entry_larger_than_the_bound_still_comes(backlog: Any) -> None:
    await backlog.place.append(packed(0, b"x" * 300_000))
    assert len(await backlog.reader("a").read(64, 1000, 0)) == 1


@pytest.mark.parametrize("junk", [b"", b"junk", b"\x80\x04\x95pickle", b"\x91" * 100_000])
async def test_bytes_that_are_no_entry_arrive_as_unreadable(backlog: Any, junk: bytes) -> None:
    await backlog.place.append(junk)
    await backlog.place.append(packed(0, b"fine"))
    found = await _all(backlog.reader("a"))
    assert [(entry.unreadable, len(entry.envelopes)) for entry in found] == [(junk, 0), (None, 1)]


async def test_four_slots_reading_at_once_share_without_loss_or_repeat(backlog: Any) -> None:
    for number in range(200):
        await backlog.place.append(packed(number, b"x"))

    async def work(slot: str) -> list[int]:
        reader, done = backlog.reader(slot), []
        while entries := await reader.read(7, 1 << 30, 0):
            done += [entry.origin.first_sequence for entry in entries]
            await reader.ack(entries)
        return done

    done = await asyncio.gather(*(work(slot) for slot in "abcd"))
    assert sorted(number for numbers in done for number in numbers) == list(range(200))


async def _all(reader: Any) -> list[Entry]:
    return await _drain(lambda: reader.read(64, 1 << 30, 0))


async def _drain(take: Any) -> list[Entry]:
    found: list[Entry] = []
    while entries := await take():
        found += entries
    return found
