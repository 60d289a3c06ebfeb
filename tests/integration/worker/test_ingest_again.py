"""What becomes of entries that were read before, and of what may have ended their readers."""

import asyncio
import contextlib
from typing import Any

import pytest

from shared.backlog.stream import GROUP, KEY
from shared.redis import connect
from tests.integration.worker.test_ingest import World, body, entry, message, world
from worker.ingest import Ingest

__all__ = ["world"]  # the fixture


class AcksFailOnce:
    """A backlog whose first acknowledgement does not arrive."""

    def __init__(self, reader: Any) -> None:
        self._reader, self.failed = reader, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    async def ack(self, entries: list[Any]) -> None:
        if not self.failed:
            self.failed = True
            raise ConnectionError
        await self._reader.ack(entries)


@pytest.mark.parametrize("backlog", ["stream", "inbox"])
async def test_a_loop_started_again_in_its_process_takes_what_it_had_at_once(
    world: World, backlog: str
) -> None:
    place: Any = world.stream if backlog == "stream" else world.inbox
    await place.append(entry(body(message("1"))))
    ingest = Ingest(AcksFailOnce(world.readers[backlog]), world.writer)
    stop = asyncio.Event()
    with pytest.raises(ConnectionError):
        await ingest.run(stop)
    running = asyncio.create_task(ingest.run(stop))

    async def empty() -> bool:
        if backlog == "inbox":
            return await world.rows("select * from webhook_inbox") == []
        return (await world.stream.state()).unapplied == 0

    await world.until(empty)
    stop.set()
    await running


class SwallowsCancellation:
    """A backlog that fails while an acknowledgement is under way, whose cancellation gets lost."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self._acks = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    async def read(self, *_: Any) -> list[Any]:
        if entries := await self._reader.read(1, 1 << 20, 100):
            return entries
        await self._acks.wait()
        raise ConnectionError

    async def ack(self, entries: list[Any]) -> None:
        self._acks.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)


async def test_a_loop_ends_though_a_driver_swallows_the_cancellation_of_a_part(
    world: World,
) -> None:
    await world.stream.append(entry(body(message("1"))))
    ingest = Ingest(SwallowsCancellation(world.readers["stream"]), world.writer)
    with pytest.raises(ConnectionError):
        async with asyncio.timeout(10):
            await ingest.run(asyncio.Event())


async def given_before(world: World, redis_url: str, times: int) -> Any:
    """The first entry, as one whom `times` processes did not survive."""
    (first,) = await world.readers["stream"].read(10, 1 << 20, 0)
    async with connect(redis_url) as redis:
        await redis.xclaim(KEY, GROUP, "test", 0, [first.id], retrycount=times, justid=True)
    world.readers["stream"].let_go()
    (again,) = await world.readers["stream"].replay_pending()
    assert again.deliveries == times + 1
    return again


async def test_an_item_that_ends_its_process_a_third_time_is_set_aside(
    world: World, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.stream.append(entry(body(message("1"), message("2", "poison"), message("3"))))
    suspect = await given_before(world, redis_url, 2)
    apply, killed = world.writer._apply, []

    async def apply_or_die(told: Any, *rest: Any) -> Any:
        if any(one.what.mid == "m_2" for one in told):
            killed.append(len(told))
            raise SystemExit
        return await apply(told, *rest)

    monkeypatch.setattr(world.writer, "_apply", apply_or_die)
    with pytest.raises(SystemExit):
        await world.ingest().ingest([suspect])
    again = await given_again(world)
    await world.ingest().ingest([again])
    assert killed == [1]
    assert await world.rows("select mid from messages order by 1") == [("m_1",), ("m_3",)]
    ((reason, kept),) = await world.rows("select reason, bytes from dead_letters")
    assert reason == "poison"
    assert b"m_2" in kept
    assert b"m_1" not in kept
    assert (await world.stream.state()).unapplied == 0


async def given_again(world: World) -> Any:
    world.readers["stream"].let_go()
    (again,) = await world.readers["stream"].replay_pending()
    return again


async def test_items_that_only_stood_beside_it_leave_no_letter(
    world: World, redis_url: str
) -> None:
    await world.stream.append(entry(body(message("1"), message("2"))))
    await world.ingest().ingest([await given_before(world, redis_url, 5)])
    assert await world.rows("select mid from messages order by 1") == [("m_1",), ("m_2",)]
    assert await world.rows("select * from dead_letters") == []


async def test_a_suspect_of_an_unknown_page_waits_for_its_page(
    world: World, redis_url: str
) -> None:
    await world.stream.append(entry(body(message("1", page="99"), page="99")))
    await world.ingest().ingest([await given_before(world, redis_url, 2)])
    assert await world.rows("select reason from dead_letters") == [("unknown_page",)]


async def test_an_entry_that_waited_for_postgres_is_known_to_have_been_given_before(
    world: World,
) -> None:
    """Else a crash right after its commit would leave a stale cache and a silent feed."""
    await world.stream.append(entry(body(message("1"))))
    reader = world.readers["stream"]
    given = await reader.read(10, 1 << 20, 0)
    await reader.hold(given, forgive=True)
    assert (await given_again(world)).deliveries == 2
