"""Whoever is erased is gone from every table, and nothing brings them back."""

import asyncio

import pytest

from deploy.simulator.config import Config
from shared.errors import Conflict
from shared.events import Label, Message, Thread
from shared.queue import Erase, Replay
from shared.redis import connect
from shared.store import coverage, erasing, feed
from shared.store.applying import apply
from tests.integration.privacy.world import (
    NOW_MS,
    OTHER,
    PAGE,
    PERSON,
    WORDS,
    World,
    body,
    everything,
    holding,
    message,
    of_both,
)
from tests.integration.sync.desk import opened
from worker.merge import reduce
from worker.outcome import DeadLetter


def telling(mid: str) -> Message:
    return Message(
        platform="messenger",
        page_id=PAGE,
        participant_id=PERSON,
        mid=mid,
        direction="in",
        source="message",
        sent_ms=NOW_MS,
        exact=True,
        as_of_ms=NOW_MS,
        text=WORDS,
    )


async def of_the_other(world: World) -> dict[str, int]:
    return {
        table: len(
            await world.rows(f"select 1 from {table} t where position($1 in t::text) > 0", OTHER)
        )
        for table in ("messages", "reactions", "conversations", "conversation_tags", "events")
    } | {
        table: len(await world.rows(f"select 1 from {table} where names_person(bytes, $1)", OTHER))
        for table in ("raw_events", "dead_letters")
    }


async def test_an_erased_person_is_in_no_table_and_everybody_else_is_untouched(
    world: World,
) -> None:
    await world.receive(*of_both(everything(PERSON)))
    before = await of_the_other(world)
    assert all(before.values()), before
    assert set(await world.holding(WORDS)) == {
        *("messages", "events", "raw_events", "dead_letters"),
    }
    assert await world.erasures.erase(Erase(person=PERSON)) is None
    assert (await world.holding(WORDS), await world.holding(PERSON)) == ([], [])
    assert await of_the_other(world) == before


async def test_replay_redelivery_and_graph_bring_nobody_back(world: World) -> None:
    bodies = of_both(everything(PERSON))
    await world.receive(*bodies)
    await world.erasures.erase(Erase(person=PERSON))
    before = await of_the_other(world)
    await world.replays.step(Replay(since_ms=0))
    await world.receive(*bodies)
    await world.receive(*reversed(bodies))
    same = {"platform": "messenger", "page_id": PAGE, "participant_id": PERSON}
    told = [
        Thread(**same, thread_id="t_1", as_of_ms=NOW_MS, participant_name=WORDS),
        Label(**same, label_id="77", name="VIP", at_ms=NOW_MS, active=True),
        Message(
            **same,
            mid="m_graph",
            direction="in",
            source="graph",
            sent_ms=NOW_MS,
            exact=False,
            as_of_ms=NOW_MS,
            text=WORDS,
        ),
    ]
    applied = await apply(world.database, reduce(told))
    assert (applied.new_messages, applied.mentioned) == (0, set())
    assert (await world.holding(WORDS), await world.holding(PERSON)) == ([], [])
    assert await of_the_other(world) == before


async def test_somebody_nobody_has_heard_of_can_be_barred_at_a_page(world: World) -> None:
    await world.erasures.erase(Erase(person=PERSON))
    await world.receive(body(message(PERSON, 1)))
    assert await world.holding(WORDS) == ["messages", "raw_events"]
    await world.erasures.erase(Erase(person=PERSON, page=PAGE))
    await world.receive(body(message(PERSON, 2)))
    assert await world.holding(WORDS) == []


async def test_who_is_erased_at_one_page_is_known_at_another(world: World) -> None:
    """A PSID is good for one Page alone; the same number elsewhere is somebody else."""
    await erasing.erase(world.database, "another-page", PERSON)
    await world.receive(body(message(PERSON, 1)))
    assert "messages" in await world.holding(WORDS)


async def test_a_batch_under_way_does_not_slip_past_an_erasure(world: World) -> None:
    """The tombstone waits for who looked before it stood; then their rows go with the rest."""
    looked, go_on = asyncio.Event(), asyncio.Event()

    async def linger(_: object) -> None:
        looked.set()
        await go_on.wait()

    slow = asyncio.create_task(apply(world.database, reduce([telling("m_1")]), linger))
    await looked.wait()
    erasing_ = asyncio.create_task(erasing.erase(world.database, PAGE, PERSON))

    async def waits() -> bool:
        sql = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        return await world.rows(sql) == [(1,)]

    async with asyncio.timeout(10):
        while not await waits():
            await asyncio.sleep(0.01)
        # This one queues behind the erasure: its look must be younger than the wait.
        late = asyncio.create_task(apply(world.database, reduce([telling("m_2")])))
        while await world.rows(
            "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        ) != [(2,)]:
            await asyncio.sleep(0.01)
    go_on.set()
    await asyncio.gather(slow, erasing_, late)
    assert await world.holding(WORDS) == []


async def test_whoever_is_erased_between_look_and_write_is_not_written(world: World) -> None:
    batch = reduce([telling("m_1")])
    async with world.database.transaction() as connection:
        # Who only looks does not wait for this, who writes does.
        await connection.execute("lock table messages in share row exclusive mode")
        late = asyncio.create_task(apply(world.database, batch))
        async with asyncio.timeout(10):
            while not await world.rows(
                "select from pg_locks where relation = 'messages'::regclass and not granted"
            ):
                await asyncio.sleep(0.01)
        await world.rows(
            "insert into erased (page_id, digest) values ($1, person_digest($2)) returning 1",
            PAGE,
            PERSON,
        )
    assert (await late).new_messages == 0
    assert await world.holding(WORDS) == []


async def test_many_rows_go_a_few_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "_ROWS_AT_ONCE", 3)
    await world.receive(*(body(message(PERSON, number)) for number in range(10)))
    erased = await erasing.erase(world.database, PAGE, PERSON)
    assert (erased.rows["messages"], erased.rows["raw_events"]) == (10, 10)
    assert await world.holding(WORDS) == []


async def test_an_erasure_is_announced_and_leaves_a_line_without_content(
    world: World, redis_url: str
) -> None:
    await world.receive(body(message(PERSON, 1)))
    position = await feed.now(world.database)
    listener = connect(redis_url).pubsub(ignore_subscribe_messages=True)
    await listener.subscribe("pagewire:changes")
    await listener.get_message(timeout=5)
    await world.erasures.erase(Erase(person=PERSON))
    assert await listener.get_message(timeout=5) is not None
    await listener.aclose()
    await listener.connection_pool.aclose()
    look = await feed.since(world.database, None, position, most=10)
    assert [(one.kinds, one.participant_id) for one in look.changes] == [(["erased"], "")]
    ((action, page_id, counts),) = await world.rows("select action, page_id, counts from audit")
    assert (action, page_id) == ("erase", PAGE)
    assert '"messages": 1' in counts


async def test_the_salt_stays(world: World) -> None:
    (before,) = await world.rows("select salt from erasure_salt")
    assert len(before[0]) == 32
    async with world.database.connection() as connection:
        await connection.execute("update erasure_salt set salt = 'x'")
        await connection.execute("delete from erasure_salt")
    assert await world.rows("select salt from erasure_salt") == [before]


async def test_a_page_is_no_person(world: World) -> None:
    with pytest.raises(Conflict):
        await erasing.erase(world.database, PAGE, PAGE)
    ended = await world.erasures.erase(Erase(person=PERSON, page="nobody's"))
    assert isinstance(ended, DeadLetter)


async def test_no_sync_and_no_verification_brings_an_erased_person_back(
    database: str, redis_url: str
) -> None:
    async with opened(database, redis_url, Config(conversations=6, messages=30)) as it:
        page = it.only_page()
        await it.sync(page)
        await it.history(page)
        person, name = (
            await it.fetch(
                "select participant_id, participant_name from conversations"
                " where participant_name is not null limit 1"
            )
        )[0]
        await erasing.erase(it.database, page, person)
        for mode in ("full", "history", "labels", "profiles", "incremental"):
            assert (await it.sync(page, mode)).status == "complete"
        assert await it.value("select count(*) from conversations") == 5
        run = await it.sync(page, "verify", options={"deep": True, "repair": True})
        assert (run.status, run.counts.missing) == ("complete", 0)
        assert await coverage.findings(it.database, run.id) == []
        assert (await holding(it.database, person), await holding(it.database, name)) == ([], [])
