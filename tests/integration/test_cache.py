"""What is served from the cache is never older than the last announced commit."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
from msgspec import Struct
from redis.asyncio import Redis

from shared import metrics
from shared.cache import MAX_BYTES, Cache, Question, about_conversation, about_list
from shared.cache import cache as module
from shared.redis import connect

PAGE = "1001"


class Changed(Struct, frozen=True):
    conversation_id: UUID
    page_id: str = PAGE


class Row:
    """A conversation as Postgres has it: a number that commits make larger."""

    def __init__(self) -> None:
        self.id = uuid4()
        self.committed = 0
        self.queries = 0

    @property
    def question(self) -> Question:
        return Question("conversation", self.id.hex, (about_conversation(self.id),))

    @property
    def changed(self) -> Changed:
        return Changed(self.id)

    async def load(self) -> bytes:
        self.queries += 1
        return b"%d" % self.committed


@pytest.fixture
async def caches(redis_url: str) -> AsyncIterator[Callable[[], Cache]]:
    """Makes the cache of one process after another."""
    made: list[Cache] = []

    def make(url: str = redis_url) -> Cache:
        made.append(Cache(connect(url, timeout=0.5)))
        return made[-1]

    yield make
    for one in made:
        await one.aclose()


@pytest.fixture
def cache(caches: Callable[[], Cache]) -> Cache:
    return caches()


async def test_an_answer_is_loaded_once_and_served_to_every_process(
    caches: Callable[[], Cache],
) -> None:
    row, one, other = Row(), caches(), caches()
    for reader in (one, other, one):
        assert await reader.get(row.question, row.load) == b"0"
    assert row.queries == 1


async def test_after_a_change_is_announced_every_process_serves_it(
    caches: Callable[[], Cache],
) -> None:
    row, worker, one, other = Row(), caches(), caches(), caches()
    for committed in range(1, 20):
        await one.get(row.question, row.load)
        row.committed = committed
        await worker.changed([row.changed])
        for reader in (one, other):
            assert await reader.get(row.question, row.load) == b"%d" % committed


async def test_a_change_forgets_its_conversation_and_the_lists_it_is_in_and_nothing_else(
    cache: Cache,
) -> None:
    row, other, loads = Row(), Row(), []

    async def load() -> bytes:
        loads.append(1)
        return b"[]"

    questions = {
        "row": row.question,
        "messages": Question("messages", row.id.hex, (about_conversation(row.id),)),
        "other": other.question,
        "page's": Question("conversations", "page", (about_list(PAGE),)),
        "other page's": Question("conversations", "other", (about_list("2002"),)),
        "all": Question("conversations", "all", (about_list(None),)),
    }
    for question in questions.values():
        await cache.get(question, load)
    await cache.changed([row.changed])
    forgotten = set()
    for name, question in questions.items():
        loads.clear()
        await cache.get(question, load)
        if loads:
            forgotten.add(name)
    assert forgotten == {"row", "messages", "page's", "all"}


async def test_a_reader_who_began_before_a_commit_leaves_nothing_stale_behind(
    caches: Callable[[], Cache],
) -> None:
    row, worker, reader, other = Row(), caches(), caches(), caches()
    queried, go_on = asyncio.Event(), asyncio.Event()

    async def slow_load() -> bytes:
        value = await row.load()
        queried.set()
        await go_on.wait()
        return value

    reading = asyncio.create_task(reader.get(row.question, slow_load))
    await queried.wait()
    row.committed = 1
    await worker.changed([row.changed])
    # Whoever asks now must not be given what is being read, nor wait for it.
    assert await reader.get(row.question, row.load) == b"1"
    go_on.set()
    assert await reading == b"0"
    for process in (reader, other):
        assert await process.get(row.question, row.load) == b"1"


async def test_who_asks_at_the_same_time_is_answered_by_one_query(cache: Cache) -> None:
    row, go_on = Row(), asyncio.Event()

    async def load() -> bytes:
        value = await row.load()
        await go_on.wait()
        return value

    await cache.get(Row().question, row.load)
    row.queries = 0
    asking = [asyncio.create_task(cache.get(row.question, load)) for _ in range(50)]
    while not row.queries:
        await asyncio.sleep(0.001)
    asking[0].cancel()
    await asyncio.sleep(0.05)
    go_on.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert answers[1:] == [b"0"] * 49
    assert row.queries == 1


async def test_who_reads_different_answers_at_the_same_time_shares_a_command(
    cache: Cache, redis_url: str
) -> None:
    rows = [Row() for _ in range(100)]
    for row in rows:
        await cache.get(row.question, row.load)
    async with Redis.from_url(redis_url) as redis:
        before = (await redis.info("commandstats"))["cmdstat_mget"]["calls"]
        answers = await asyncio.gather(*(cache.get(row.question, row.load) for row in rows))
        after = (await redis.info("commandstats"))["cmdstat_mget"]["calls"]
    assert answers == [b"0"] * 100
    assert sum(row.queries for row in rows) == 100
    assert after - before <= 2


async def test_an_error_reaches_whoever_asked_and_is_not_kept(cache: Cache) -> None:
    row = Row()

    async def fail() -> bytes:
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            await cache.get(row.question, fail)
    assert await cache.get(row.question, row.load) == b"0"


async def test_a_long_answer_is_not_kept(cache: Cache) -> None:
    row = Row()
    for _ in range(2):
        answer = await cache.get(row.question, lambda: _later(row, b"x" * (MAX_BYTES + 1)))
        assert len(answer) > MAX_BYTES
    assert row.queries == 2


async def _later(row: Row, value: bytes) -> bytes:
    await row.load()
    return value


async def test_nothing_lives_for_ever(cache: Cache, redis_url: str) -> None:
    row = Row()
    await cache.get(row.question, row.load)
    async with Redis.from_url(redis_url) as redis:
        for key in await redis.keys():
            lives_ms = await redis.pttl(key)
            if not key.endswith(b":generation"):
                assert 0 < lives_ms <= 600_000, key


async def test_evicted_tokens_cost_a_query_and_never_bring_an_old_answer_back(
    cache: Cache, redis_url: str
) -> None:
    row = Row()
    async with Redis.from_url(redis_url) as redis:
        for committed in range(1, 30):
            await cache.get(row.question, row.load)
            keys = await redis.keys()
            await redis.delete(*random.sample(keys, random.randint(1, len(keys))))
            row.committed = committed
            await cache.changed([row.changed])
            assert await cache.get(row.question, row.load) == b"%d" % committed


async def test_another_redis_process_begins_empty(cache: Cache, redis_url: str) -> None:
    """A replica that took over has the answers, but may have missed the last deletions."""
    row = Row()
    await cache.get(row.question, row.load)
    row.committed = 1  # the deletion is lost in the failover
    async with Redis.from_url(redis_url) as redis:
        generation = await redis.get("pagewire:cache:generation")
        run_id, _, rest = generation.partition(b":")
        await redis.set("pagewire:cache:generation", run_id[::-1] + b":" + rest)
        # The answers of that generation are there too, as on a replica.
        for key in await redis.keys("pagewire:cache:answer:*"):
            value = await redis.get(key)
            await redis.set(key, value.replace(generation, run_id[::-1] + b":" + rest))
    assert await cache.get(row.question, row.load) == b"1"
    queries = row.queries
    assert await cache.get(row.question, row.load) == b"1"
    assert row.queries == queries


async def test_values_no_writer_could_delete_are_not_served_when_redis_is_back(
    caches: Callable[..., Cache], redis_url: str
) -> None:
    row = Row()
    async with _gate(redis_url) as (url, gate):
        worker, reader = caches(url), caches()
        await worker.changed([Row().changed])
        await reader.get(row.question, row.load)
        gate.shut()
        row.committed = 1
        await worker.changed([row.changed])
        assert worker.in_memory
        gate.open()
        await asyncio.sleep(module._RETRY_SECONDS)
        await worker.changed([Row().changed])
        assert not worker.in_memory
        assert await reader.get(row.question, row.load) == b"1"


async def test_while_redis_is_away_answers_come_from_a_short_memory(
    caches: Callable[..., Cache], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEMORY_SECONDS", 60)
    row = Row()
    async with _gate(redis_url) as (url, gate):
        cache = caches(url)
        assert await cache.get(row.question, row.load) == b"0"
        row.committed = 1
        gate.shut()
        assert await cache.get(row.question, row.load) == b"1"
        assert cache.in_memory
        queries = row.queries
        assert await cache.get(row.question, row.load) == b"1"
        assert row.queries == queries
        row.committed = 2
        await cache.forget([row.changed])
        monkeypatch.setattr(module, "MEMORY_SECONDS", 0)
        assert await cache.get(row.question, row.load) == b"2"
        row.committed = 3
        assert await cache.get(row.question, row.load) == b"3"
        many = [Row() for _ in range(module.MEMORY_ANSWERS * 2)]
        for one in many:
            await cache.get(one.question, one.load)
        assert len(cache._memory) <= module.MEMORY_ANSWERS
        gate.open()
        await asyncio.sleep(module._RETRY_SECONDS)
        row.committed = 4
        assert await cache.get(row.question, row.load) == b"4"
        assert not cache.in_memory


async def test_changes_are_announced_to_whoever_listens(caches: Callable[[], Cache]) -> None:
    worker, listener = caches(), caches()
    announced = listener.announcements()
    assert await anext(announced) == frozenset()
    rows = [Row(), Row()]
    await worker.changed(row.changed for row in rows)
    assert await _next(announced) == {row.id for row in rows}
    await worker.forget([rows[0].changed])
    await worker.changed([rows[1].changed])
    assert await _next(announced) == {rows[1].id}
    await announced.aclose()


async def _next(announced: AsyncIterator[frozenset[UUID]]) -> frozenset[UUID]:
    return await anext(ids async for ids in announced if ids)


async def test_hits_misses_and_invalidations_are_counted_by_family(cache: Cache) -> None:
    def counted() -> list[float]:
        reads = metrics.cache_reads
        forgot = metrics.cache_invalidations
        return [
            reads.labels("conversation", "miss")._value.get(),
            reads.labels("conversation", "hit")._value.get(),
            forgot.labels("conversation")._value.get(),
        ]

    before, row = counted(), Row()
    for _ in range(4):
        await cache.get(row.question, row.load)
    for _ in range(2):
        await cache.changed([row.changed])
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [1, 3, 1]


async def test_no_reader_ever_sees_less_than_was_announced(caches: Callable[[], Cache]) -> None:
    rows = [Row() for _ in range(5)]
    announced = dict.fromkeys((row.id for row in rows), 0)
    numbers = itertools.count(1)
    reads = 0

    async def write() -> None:
        worker = caches()
        for number in numbers:
            row = random.choice(rows)
            row.committed = number
            await worker.changed([row.changed])
            announced[row.id] = max(announced[row.id], number)
            await asyncio.sleep(random.choice((0, 0.001, 0.003)))

    async def read(process: Cache) -> None:
        nonlocal reads
        for _ in range(400):
            row = random.choice(rows)

            async def load(row: Row = row) -> bytes:
                value = await row.load()
                await asyncio.sleep(random.choice((0, 0, 0.002, 0.01)))
                return value

            floor = announced[row.id]
            assert int(await process.get(row.question, load)) >= floor
            reads += 1

    writers = [asyncio.create_task(write()) for _ in range(2)]
    processes = [caches() for _ in range(3)]
    await asyncio.gather(*(read(process) for process in processes * 4))
    for writer in writers:
        writer.cancel()
    assert reads == 4800


class _Gate:
    """Whether a proxy lets anything through."""

    def __init__(self) -> None:
        self._open = True
        self._connections: set[asyncio.StreamWriter] = set()

    def open(self) -> None:
        self._open = True

    def shut(self) -> None:
        self._open = False
        for writer in self._connections:
            writer.close()


@asynccontextmanager
async def _gate(redis_url: str) -> AsyncIterator[tuple[str, _Gate]]:
    """A way to the same Redis that can be shut."""
    path = redis_url.partition("://")[2].partition("?")[0]
    gate = _Gate()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not gate._open:
            writer.close()
            return
        back, forth = await asyncio.open_unix_connection(path)
        gate._connections |= {writer, forth}
        await asyncio.gather(_pipe(reader, forth), _pipe(back, writer))
        gate._connections -= {writer, forth}

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield f"redis://127.0.0.1:{port}", gate
    gate.shut()
    server.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
