"""What was received can be applied again, from where it stopped, to no other effect."""

import asyncio

import pytest

from shared import queue
from shared.queue import LATER, Replay
from shared.store import pages
from tests.integration.privacy.world import (
    NOW_MS,
    PAGE,
    PERSON,
    WORDS,
    World,
    body,
    everything,
    message,
    unsend,
)
from worker import replay
from worker.outcome import DeadLetter


async def state(world: World) -> dict[str, list[object]]:
    tables = "messages", "conversations", "reactions", "events", "raw_events"
    return {table: sorted(await world.rows(f"select t::text from {table} t")) for table in tables}


async def test_damaged_tables_are_made_whole_again(world: World) -> None:
    await world.receive(*everything(PERSON))
    before = await state(world)
    for table in ("messages", "conversations", "reactions", "events"):
        await world.rows(f"delete from {table}")
    await world.replays.step(Replay(since_ms=0))
    assert await state(world) == before


async def test_a_replay_of_what_is_as_it_should_be_changes_nothing(world: World) -> None:
    await world.receive(*everything(PERSON))
    before = await state(world), await world.rows("select max(id) from changes")
    await world.replays.step(Replay(since_ms=0))
    assert (await state(world), await world.rows("select max(id) from changes")) == before


async def test_a_long_replay_goes_on_where_its_last_step_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "MAX_ITEMS", 7)
    monkeypatch.setattr(replay, "STEP_SECONDS", 0.001)
    await world.receive(*(body(message(PERSON, number)) for number in range(40)))
    await world.rows("delete from messages")
    job, steps = Replay(since_ms=0), 0
    while job is not None:
        await world.replays.step(job)
        steps += 1
        job = await queued(world)
    assert steps > 3
    assert await world.rows("select count(*) from messages") == [(40,)]


async def queued(world: World) -> Replay | None:
    redis = world.queue._redis
    found = await redis.zpopmin(LATER)
    if not found:
        return None
    sent = await redis.get(b"arq:job:" + found[0][0])
    (job,) = queue.decode(sent)["a"]
    return job


async def test_only_what_was_asked_for_is_replayed(world: World) -> None:
    other = "202"
    await pages.add(world.database, facebook_page_id=other, name="B", instagram_id=None, token=None)
    await asyncio.sleep(1.1)  # a Page that was unknown is asked for again after a second
    about = body(message(PERSON, 1))
    await world.receive(about, about.replace(PAGE.encode(), other.encode()))
    assert await world.rows("select count(*) from messages") == [(2,)]
    await world.rows("delete from messages")
    await world.replays.step(Replay(since_ms=NOW_MS + 1))
    assert await world.rows("select page_id from messages") == []
    await world.replays.step(Replay(since_ms=0, page=other))
    assert await world.rows("select page_id from messages") == [(other,)]
    assert isinstance(await world.replays.step(Replay(since_ms=0, page="none")), DeadLetter)


async def test_what_was_unsent_stays_gone(world: World) -> None:
    await world.receive(body(message(PERSON, 1)), body(unsend(PERSON, 1)))
    await world.rows("delete from messages")
    await world.replays.step(Replay(since_ms=0))
    assert await world.holding(WORDS) == []
    assert await world.rows("select count(*) from messages where deleted_ms is not null") == [(1,)]
