"""A Redis that dies, comes back, or comes back empty: nothing acknowledged is lost unnoticed."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from ingress.webhook import watch
from shared.backlog.stream import KEY, StreamReader
from tests.integration.intake.intake_world import Killable, World, until


@pytest.fixture
async def world(killable_redis: Killable, database: str) -> AsyncIterator[World]:
    """An ingress over a Redis of its own that may be killed."""
    found = World(killable_redis.url, database)
    await found.start()
    yield found
    await found.stop()
    await found.redis.aclose()


async def bodies(world: World) -> set[bytes]:
    return {envelope.body for envelope in await world.in_redis()}


async def gaps(world: World) -> list[tuple[str, datetime, datetime]]:
    rows = await world.sql("select cause, from_at, until_at from gaps order by id")
    return [tuple(row) for row in rows]


async def looked(world: World) -> None:
    """Wait until the ingress has looked at Redis once more, from begin to end."""
    for _ in range(2):
        before = world.ingress._door._watches[0]._looks

        async def again(before: int = before) -> bool:
            return world.ingress._door._watches[0]._looks > before

        await until(again)


async def test_what_was_acknowledged_survives_a_kill_of_redis_the_instant_after(
    world: World, killable_redis: Killable
) -> None:
    acked = []
    for round_ in range(5):
        answers = await asyncio.gather(*(world.post(b"%d-%d" % (round_, n)) for n in range(20)))
        killable_redis.kill()
        acked += [b"%d-%d" % (round_, n) for n, (status, _) in enumerate(answers) if status == 200]
        killable_redis.start()
        await looked(world)
    assert len(acked) == 100
    found = await bodies(world) | {envelope.body for envelope in await world.in_postgres()}
    assert set(acked) <= found
    assert await gaps(world) == []


async def test_a_log_on_disk_alone_holds_what_was_acknowledged(
    world: World, killable_redis: Killable
) -> None:
    assert (await world.post(b'{"on": "disk"}'))[0] == 200
    killable_redis.kill()
    logs = list(killable_redis.data.rglob("*.incr.aof"))
    assert any(b'{"on": "disk"}' in log.read_bytes() for log in logs)
    killable_redis.start()


async def test_a_redis_that_comes_back_empty_gets_the_last_seconds_again(
    world: World, killable_redis: Killable
) -> None:
    sent = {b"%d" % n for n in range(10)}
    for body in sent:
        assert (await world.post(body))[0] == 200
    await looked(world)
    killable_redis.kill()
    killable_redis.wipe()
    killable_redis.start()

    async def all_there() -> bool:
        return await bodies(world) == sent

    await until(all_there)
    assert await gaps(world) == []


async def test_entries_sent_again_keep_their_origin(world: World, killable_redis: Killable) -> None:
    await world.post(b"x")
    (before,) = await world.redis.xrange(KEY)
    await looked(world)
    await world.redis.flushall()

    async def again() -> bool:
        return await world.redis.xlen(KEY) == 1

    await until(again)
    (after,) = await world.redis.xrange(KEY)
    assert after[1] == before[1]
    assert after[0] != before[0]


async def test_a_stream_that_was_deleted_is_noticed_though_redis_never_stopped(
    world: World,
) -> None:
    await world.post(b"1")
    await looked(world)
    await world.redis.delete(KEY)
    await world.post(b"2")

    async def all_there() -> bool:
        return await bodies(world) == {b"1", b"2"}

    await until(all_there)


async def test_loss_older_than_the_ring_is_reported_as_a_gap(
    world: World, killable_redis: Killable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "REMEMBERED", 0.0)
    sent_at = datetime.now(UTC)
    await world.post(b"lost")
    await looked(world)
    killable_redis.kill()
    killable_redis.wipe()
    killable_redis.start()
    await looked(world)
    await world.ingress._door._beat()
    ((cause, from_at, until_at),) = await gaps(world)
    assert cause == "redis_lost_entries"
    assert sent_at - timedelta(seconds=1) <= from_at <= sent_at + timedelta(seconds=5)
    assert until_at >= from_at


async def test_no_gap_is_reported_when_the_lost_entries_were_applied(
    world: World, killable_redis: Killable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "REMEMBERED", 0.0)
    await world.post(b"applied")
    reader = StreamReader(killable_redis.url, "slot")
    await reader.ack(await reader.read(10, 1 << 20, 0))
    await reader.aclose()
    await looked(world)
    killable_redis.kill()
    killable_redis.wipe()
    killable_redis.start()
    await looked(world)
    await world.ingress._door._beat()
    assert await gaps(world) == []


async def test_no_gap_is_reported_when_redis_restarts_with_everything(
    world: World, killable_redis: Killable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "REMEMBERED", 0.0)
    await world.post(b"kept")
    await looked(world)
    killable_redis.kill()
    killable_redis.start()
    await looked(world)
    await world.ingress._door._beat()
    assert await gaps(world) == []
    assert await bodies(world) == {b"kept"}


async def test_the_tail_chopped_off_the_log_comes_from_the_ring(
    world: World, killable_redis: Killable
) -> None:
    """As after a power loss of a Redis that syncs every second."""
    sent = {b"entry-%d" % n for n in range(30)}
    for body in sorted(sent):
        await world.post(body)
    await looked(world)
    killable_redis.kill()
    (log,) = killable_redis.data.rglob("*.incr.aof")
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) // 2])
    killable_redis.start()

    async def all_there() -> bool:
        return await bodies(world) == sent

    await until(all_there)
    assert await gaps(world) == []


async def test_a_full_backlog_goes_to_postgres(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "MOST_UNAPPLIED", 3)
    for n in range(5):
        await world.post(b"%d" % n)
    await looked(world)
    assert (await world.readiness())["keepers"]["redis"] is False
    assert (await world.post(b"over"))[0] == 200
    assert [envelope.body for envelope in await world.in_postgres()] == [b"over"]


async def test_a_redis_whose_memory_is_full_sends_webhooks_to_postgres(world: World) -> None:
    used = (await world.redis.info("memory"))["used_memory"]
    await world.redis.config_set("maxmemory", used + (2 << 20))
    for _ in range(20):
        status, _ = await world.post(b"x" * 200_000)
        assert status == 200
    assert len(await world.in_postgres()) > 0
    assert len(await world.in_redis()) + len(await world.in_postgres()) == 20


async def test_what_a_redis_survives_is_shown_and_follows_its_settings(world: World) -> None:
    assert (await world.readiness())["durability"] == 3
    await world.redis.config_set("appendfsync", "everysec")

    async def weaker() -> bool:
        return (await world.readiness())["durability"] == 2

    await until(weaker)
    assert (await world.readiness())["ready"]


async def test_a_redis_that_begins_to_evict_is_not_trusted_with_webhooks(world: World) -> None:
    await world.redis.config_set("maxmemory-policy", "allkeys-lru")

    async def distrusted() -> bool:
        return not (await world.readiness())["keepers"]["redis"]

    await until(distrusted)
    assert (await world.post(b"{}"))[0] == 200
    assert len(await world.in_postgres()) == 1
