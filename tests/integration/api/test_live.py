"""The live feed as browsers follow it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from ingress.api import callers, hub
from ingress.api.streams import Rhythm
from shared.cache import CHANNEL
from shared.store import feed, keys
from shared.store.applying import apply
from tests.integration.api.world import INSTAGRAM, OTHER, PAGE, World, message
from worker.merge import reduce


class Frame(dict):
    """A server-sent event by field; a comment has the field of no name."""


class Stream:
    """An open stream, frame by frame."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def frame(self, within: float = 5) -> Frame | None:
        """Return the next frame, None at the end."""
        async with asyncio.timeout(within):
            raw = await self._answer.content.readuntil(b"\n\n")
        if not raw:
            return None
        fields = (line.partition(": ")[::2] for line in raw.decode().strip("\n").split("\n"))
        return Frame(fields)

    async def end(self) -> None:
        """Read on until the server has ended the stream."""
        while await self.frame() is not None:
            pass

    async def next(self, event: str) -> Frame:
        """Return the next event of a name."""
        while (frame := await self.frame()) is not None:
            if frame.get("event") == event:
                return frame
        raise AssertionError("the stream has ended")

    async def changes(self, number: int) -> list[Any]:
        """Return the data of the next changes."""
        return [json.loads((await self.next("change"))["data"]) for _ in range(number)]


@asynccontextmanager
async def following(
    world: World, key: str = "admin", last: str | None = None, **query: str
) -> AsyncIterator[Stream]:
    """Follow the feed, from the moment it is open."""
    headers = {"Authorization": f"Bearer {world.keys.get(key, key)}"}
    if last is not None:
        headers["Last-Event-ID"] = last
    async with world.http.get("/api/live", headers=headers, params=query) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        stream = Stream(answer)
        assert await stream.frame() == {"retry": "1000"}
        yield stream


@pytest.fixture
def _nobody_looks_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "LOOK_EVERY", 3600.0)


@pytest.mark.usefixtures("_nobody_looks_unasked")
async def test_a_change_is_told_at_once_with_a_place_to_resume_from(
    world: World, redis_url: str
) -> None:
    async with Redis.from_url(redis_url) as redis:

        async def listened_to() -> bool:
            return (await redis.pubsub_numsub(CHANNEL))[0][1] == 1

        await world.until(listened_to)
    async with following(world) as stream:
        first = await stream.frame()
        assert set(first or ()) == {"id"}
        await world.happen(message(1))
        frame = await stream.next("change")
    change = json.loads(frame["data"])
    [one] = (await world.get("/api/conversations"))["data"]
    assert change == {
        "conversationId": one["id"],
        "pageId": PAGE,
        "participantId": "person-1",
        "kinds": ["conversation", "message"],
        "at": change["at"],
    }
    assert int(frame["id"]) > 0


async def test_whoever_was_away_gets_what_was_missed(world: World) -> None:
    async with following(world) as stream:
        await world.happen(message(1))
        last = (await stream.next("change"))["id"]
    await world.happen(message(2, "person-2"))
    await world.happen(message(3, "person-3"))
    async with following(world, last=last) as stream:
        missed = {one["participantId"] for one in await stream.changes(2)}
        await world.happen(message(4, "person-4"))
        while "person-4" not in missed:
            missed |= {one["participantId"] for one in await stream.changes(1)}
    assert missed >= {"person-2", "person-3", "person-4"}


async def test_whoever_was_away_too_long_is_told_to_reload(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for last in ("nonsense", "0", str(1 << 60)):
        async with following(world, last=last) as stream:
            frame = await stream.frame()
            assert frame is not None
            assert frame["event"] == "reset"
            resumed = frame["id"]
    await world.happen(message(1), message(2, "person-2"))
    async with following(world, last=resumed) as stream:
        assert len(await stream.changes(2)) == 2
    monkeypatch.setattr(hub, "MOST", 1)
    async with following(world, last=resumed) as stream:
        await stream.next("reset")


async def test_a_client_gets_the_changes_of_its_pages_only(world: World) -> None:
    async with (
        following(world, "acme") as acme,
        following(world, pageId=INSTAGRAM) as filtered,
        following(world, "other") as other,
    ):
        await world.happen(
            message(1),
            message(2, "igsid-1", page_id=INSTAGRAM, platform="instagram"),
            message(3, page_id=OTHER),
        )
        assert {one["pageId"] for one in await acme.changes(2)} == {PAGE, INSTAGRAM}
        assert {one["pageId"] for one in await filtered.changes(2)} == {PAGE, INSTAGRAM}
        assert [one["pageId"] for one in await other.changes(1)] == [OTHER]
        await world.happen(message(4, page_id=OTHER))
        assert [one["pageId"] for one in await other.changes(1)] == [OTHER]
        for stream in (acme, filtered):
            with pytest.raises(TimeoutError):
                await stream.frame(within=0.2)


async def test_changes_of_one_tick_go_out_together(world: World) -> None:
    async with following(world) as stream:
        await world.happen(message(1))
        await stream.changes(1)
        for number in range(2, 12):
            await world.happen(message(number, f"person-{number}"))
        assert len(await stream.changes(10)) == 10


async def test_what_nobody_announced_is_found_and_the_cache_told_of_it(world: World) -> None:
    """Its writer died between its commit and the announcement."""
    await world.happen(message(1))
    assert (await world.get("/api/conversations"))["data"][0]["lastMessage"]["mid"] == "m_1"
    await apply(world.database, reduce([message(2)]))

    async def shown() -> bool:
        listed = (await world.get("/api/conversations"))["data"]
        return listed[0]["lastMessage"]["mid"] == "m_2"

    await world.until(shown)


async def test_a_change_by_one_reader_reaches_the_others(world: World) -> None:
    await world.happen(message(1))
    [one] = (await world.get("/api/conversations"))["data"]
    async with following(world) as stream:
        await world.ask("PUT", f"/api/conversations/{one['id']}/tags/vip")
        await world.ask("PUT", f"/api/conversations/{one['id']}/seen")
        kinds = []
        while ["seen"] not in kinds:
            kinds += [change["kinds"] for change in await stream.changes(1)]
    assert kinds[-2:] == [["tag"], ["seen"]]


async def test_whoever_joins_before_the_first_look_at_the_feed_reloads(world: World) -> None:
    """Between their place and where the hub begins, something may have changed."""
    begun = hub.Hub(world.database, world.api.cache, heartbeat=15)
    client = hub.Client(None, hub.live_frame)
    begun.join(client)
    await begun._look()
    assert await client.frames() == b"event: reset\ndata: {}\n\n"


async def test_a_client_that_does_not_read_reloads_instead(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = hub.Client(None, hub.live_frame)
    monkeypatch.setattr(hub, "PENDING_BYTES", 1000)
    for _ in range(100):
        client.offer(b"x" * 100)
        assert client._size <= 1000
    frames = await client.frames()
    assert frames is not None
    assert frames.startswith(b"event: reset\n")


class TestQuickly:
    """With an impatient rhythm."""

    @pytest.fixture
    def rhythm(self) -> Rhythm:
        return Rhythm(heartbeat=0.05, recheck=0.3)

    async def test_a_quiet_stream_shows_that_it_lives(self, world: World) -> None:
        async with following(world) as stream:
            await stream.frame()
            for _ in range(3):
                assert await stream.frame() == {"": ""}

    async def test_so_does_a_job_that_waits(self, world: World) -> None:
        asked = await world.ask("POST", "/api/conversations/sync?wait=0", json={"pageId": PAGE})
        headers = {"Authorization": f"Bearer {world.keys['admin']}"}
        path = f"/api/jobs/{asked.body['jobId']}/events"
        async with world.http.get(path, headers=headers) as answer:
            stream = Stream(answer)
            while await stream.frame() != {"": ""}:
                pass

    async def test_a_stream_ends_when_its_key_is_revoked(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(callers, "FRESH", 0)
        key, secret = await keys.create(
            world.database, name="brief", scope="read", pages=None, expires=None
        )
        async with following(world, secret.reveal()) as stream, following(world) as lasting:
            await keys.revoke(world.database, str(key.id))
            await stream.end()
            await lasting.frame()
            assert len(world.api.streams) == 1


async def test_streams_end_at_shutdown_and_do_not_hold_it(world: World) -> None:
    async with following(world) as stream, following(world):
        began = asyncio.get_running_loop().time()
        await world.server.close()
        assert asyncio.get_running_loop().time() - began < 10
        await stream.end()


async def test_a_foreign_transaction_that_stays_open_delays_no_change(world: World) -> None:
    async with world.database.transaction() as elsewhere:
        await elsewhere.execute("create temporary table busy (n int)")
        async with following(world) as stream:
            await world.happen(message(1))
            frame = await stream.next("change")
    async with following(world, last=frame["id"]) as stream:
        assert len(await stream.changes(1)) == 1
    assert feed.safe(await feed.now(world.database)) > frame["id"]
