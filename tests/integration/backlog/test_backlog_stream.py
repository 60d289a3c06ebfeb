"""What the stream promises beyond what both places do: it trims safely and mends itself."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from shared.backlog import stream as backlog_stream
from shared.backlog.durability import judge
from shared.backlog.envelope import Envelope, Origin, pack
from shared.backlog.stream import GROUP, KEY, Stream, StreamReader, entry_id
from shared.errors import Unavailable
from shared.redis import connect

HOUR_MS = 3_600_000


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = connect(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def stream(redis: Redis) -> Stream:
    return Stream(redis)


@pytest.fixture
async def reader(redis_url: str) -> AsyncIterator[StreamReader]:
    async with contextlib.aclosing(StreamReader(redis_url, "slot")) as found:
        yield found


def packed(body: bytes = b"x") -> bytes:
    return pack(Origin("door", "boot", 0), [Envelope("webhook", 0, body)])


async def old_entry(redis: Redis, age_ms: int, body: bytes = b"x") -> str:
    name = f"{int(time.time() * 1000) - age_ms}-0"
    await redis.xadd(KEY, {"e": packed(body)}, id=name)
    return name


async def names(redis: Redis) -> list[str]:
    return [name.decode() for name, _ in await redis.xrange(KEY)]


async def test_an_append_outlives_the_connections_redis_has_closed(redis_url: str) -> None:
    """As a Redis that hangs up on the idle, or was started again, leaves them."""
    async with contextlib.aclosing(Stream(connect(redis_url))) as stream:
        await asyncio.gather(stream.append(packed()), stream.append(packed()))
        async with connect(redis_url) as other:
            await other.client_kill_filter(_type="normal", skipme=True)
            await stream.append(packed())
            assert await other.xlen(KEY) == 3


async def test_applied_entries_stay_replayable_for_an_hour(
    redis: Redis, stream: Stream, reader: StreamReader
) -> None:
    await old_entry(redis, HOUR_MS + 60_000)
    kept = await old_entry(redis, HOUR_MS - 60_000)
    await reader.ack(await reader.read(10, 1 << 30, 0))
    assert await stream.trim() == 1
    assert await names(redis) == [kept]


async def test_nothing_pending_is_trimmed_however_old(
    redis: Redis, stream: Stream, reader: StreamReader
) -> None:
    for hours in (5, 4, 3):
        await old_entry(redis, hours * HOUR_MS)
    first, second, third = await reader.read(64, 1 << 30, 0)
    await reader.ack([first, third])
    assert await stream.trim() == 1
    assert await names(redis) == [second.id, third.id]


async def test_nothing_unread_is_trimmed_however_old(
    redis: Redis, stream: Stream, reader: StreamReader
) -> None:
    await old_entry(redis, 5 * HOUR_MS)
    await reader.ack(await reader.read(1, 1 << 30, 0))
    unread = await old_entry(redis, 4 * HOUR_MS)
    assert await stream.trim() == 1
    assert await names(redis) == [unread]


async def test_nothing_is_trimmed_before_the_first_worker_came(
    redis: Redis, stream: Stream
) -> None:
    await old_entry(redis, 5 * HOUR_MS)
    assert await stream.trim() == 0


async def test_the_slowest_group_decides_what_may_go(
    redis: Redis, stream: Stream, reader: StreamReader
) -> None:
    await redis.xgroup_create(KEY, "slow", id="0", mkstream=True)
    await old_entry(redis, 5 * HOUR_MS)
    await reader.ack(await reader.read(10, 1 << 30, 0))
    assert await stream.trim() == 0


async def test_applied_entries_beyond_the_size_bound_go_before_their_hour(
    redis: Redis, stream: Stream, reader: StreamReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog_stream, "REPLAYABLE_BYTES", 1 << 20)
    for seconds in range(100, 0, -1):
        await old_entry(redis, seconds * 1000, b"x" * 40_000)
    while entries := await reader.read(64, 1 << 30, 0):
        await reader.ack(entries)
    for _ in range(4):
        await stream.trim()
    used = await redis.memory_usage(KEY, samples=0)
    assert 0.4 * (1 << 20) < used < 1.2 * (1 << 20)


async def test_workers_that_are_gone_and_hold_nothing_are_forgotten(
    redis: Redis, redis_url: str, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await stream.forget_gone() == 0  # before there is a stream, and before there is a group
    await redis.xadd(KEY, {"e": packed()})
    assert await stream.forget_gone() == 0
    for slot, acks in (("holds one", False), ("holds none", True)):
        await redis.xadd(KEY, {"e": packed()})
        async with contextlib.aclosing(StreamReader(redis_url, slot)) as found:
            entries = await found.read(1, 1 << 20, 0)
            if acks:
                await found.ack(entries)
    assert await stream.forget_gone() == 0  # not gone for long
    monkeypatch.setattr(backlog_stream, "GONE_AFTER", timedelta())
    assert await stream.forget_gone() == 1
    (left,) = await redis.xinfo_consumers(KEY, GROUP)
    assert (left["name"], left["pending"]) == (b"holds one", 1)


async def test_a_lost_group_is_made_again_from_the_first_entry(
    redis: Redis, stream: Stream, reader: StreamReader
) -> None:
    await stream.append(packed())
    await reader.ack(await reader.read(10, 1 << 20, 0))
    await redis.xgroup_destroy(KEY, GROUP)
    (again,) = await reader.read(10, 1 << 20, 0)
    assert again.deliveries == 1


async def test_a_wiped_redis_is_read_from_where_it_begins_anew(
    redis: Redis, stream: Stream, reader: StreamReader
) -> None:
    await stream.append(packed())
    await reader.read(10, 1 << 20, 0)
    await redis.flushall()
    await stream.append(packed(b"after"))
    (entry,) = await reader.read(10, 1 << 20, 0)
    assert entry.envelopes[0].body == b"after"
    assert await reader.replay_pending() == []


async def test_a_wipe_under_a_blocking_reader_is_survived(
    redis: Redis, stream: Stream, reader: StreamReader
) -> None:
    reading = asyncio.create_task(reader.read(10, 1 << 20, 5000))
    async with asyncio.timeout(5):
        while not (await redis.info("clients"))["blocked_clients"]:
            await asyncio.sleep(0.01)
    await redis.flushall()
    await stream.append(packed())
    async with asyncio.timeout(3):
        assert len(await reading) == 1


async def test_a_key_of_another_type_is_named_in_the_error(
    redis: Redis, stream: Stream, reader: StreamReader
) -> None:
    await redis.set(KEY, "mine")
    for attempt in (stream.append(packed()), stream.state(), reader.read(1, 1, 0)):
        with pytest.raises(Unavailable, match=f"{KEY} is not a stream"):
            await attempt


async def test_an_entry_of_somebody_else_is_kept_whole(redis: Redis, reader: StreamReader) -> None:
    await redis.xadd(KEY, {"foo": "bar", "n": 1})
    (entry,) = await reader.read(1, 1 << 20, 0)
    assert entry.unreadable is not None
    assert b"foo" in entry.unreadable
    assert b"bar" in entry.unreadable


async def test_an_unreachable_redis_is_unavailable() -> None:
    nowhere = "unix:///nonexistent/redis.sock"
    async with (
        contextlib.aclosing(StreamReader(nowhere, "slot")) as reader,
        contextlib.aclosing(Stream(connect(nowhere))) as stream,
    ):
        for attempt in (reader.read(1, 1, 0), reader.claim_stale(), stream.state()):
            with pytest.raises(Unavailable, match="Redis does not answer"):
                await attempt


async def test_the_state_tells_the_oldest_entry_not_applied(
    redis: Redis, stream: Stream, reader: StreamReader
) -> None:
    assert (await stream.state()).oldest_unapplied is None
    ids = [entry_id(await old_entry(redis, ms)) for ms in (3000, 2000, 1000)]
    state = await stream.state()
    assert (state.unapplied, state.oldest_unapplied) == (3, ids[0])
    one, two = (await reader.read(1, 1 << 30, 0))[0], (await reader.read(1, 1 << 30, 0))[0]
    await reader.ack([two])
    assert (await stream.state()).oldest_unapplied == ids[0]
    await reader.ack([one])
    state = await stream.state()
    assert (state.unapplied, state.oldest_unapplied) == (1, ids[2])
    assert 900 < state.backlog_age(int(time.time() * 1000)).total_seconds() * 1000 < 5000
    await reader.ack(await reader.read(1, 1 << 30, 0))
    state = await stream.state()
    assert (state.unapplied, state.oldest_unapplied, state.length) == (0, None, 3)


@pytest.mark.parametrize(
    ("settings", "level"),
    [
        ({"appendonly": "no"}, 0),
        ({"appendonly": "yes", "appendfsync": "no"}, 1),
        ({"appendonly": "yes", "appendfsync": "everysec"}, 2),
        ({"appendonly": "yes", "appendfsync": "always"}, 3),
    ],
)
async def test_the_durability_of_a_server_is_told_by_level(
    redis: Redis, stream: Stream, settings: dict[str, str], level: int
) -> None:
    before = {name: (await redis.config_get(name))[name] for name in ("appendonly", "appendfsync")}
    try:
        for name, value in settings.items():
            await redis.config_set(name, value)
        assert (await stream.durability()).level == level
    finally:
        for name, value in before.items():
            await redis.config_set(name, value)


async def test_a_server_that_hides_its_settings_gets_the_weakest_level_it_may_have(
    redis: Redis, redis_url: str
) -> None:
    await redis.execute_command(
        "ACL", "SETUSER", "narrow", "on", "nopass", "+@all", "-config", "~*"
    )
    try:
        async with connect(redis_url.replace("?", "?username=narrow&password=x&")) as narrow:
            found = await Stream(narrow).durability()
        assert found.level == (1 if (await redis.info("persistence"))["aof_enabled"] else 0)
    finally:
        await redis.execute_command("ACL", "DELUSER", "narrow")


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_server_that_evicts_is_no_place_for_what_was_acknowledged(policy: str) -> None:
    found = judge(appendonly=True, appendfsync="always", policy=policy)
    assert (found.level, found.evicts) == (0, policy)
    assert policy in found.why
