"""What is older than MESSAGE_RETENTION goes, and neither a sync nor a replay brings it back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.simulator.config import Config
from shared.events import Message, Notice, Reaction
from shared.queue import Replay
from shared.redis import connect
from shared.store import coverage, expiring, feed
from shared.store.applying import apply
from shared.store.upkeep import keep_partitions
from tests.integration.privacy.world import (
    NOW_MS,
    OTHER,
    PAGE,
    PERSON,
    WORDS,
    World,
    body,
    item,
    message,
)
from tests.integration.sync.desk import opened
from worker.merge import reduce
from worker.retention import Expiry, Retention
from worker.writing import Writer, read_items

KEPT = timedelta(days=30)
DAY_MS = 86_400_000
RETENTION = Retention(KEPT)


def days_ago(days: float) -> int:
    return int((datetime.now(UTC) - timedelta(days=days)).timestamp() * 1000)


def sent(person: str, mid: str, days: float, **more: Any) -> Message:
    told = {
        "platform": "messenger", "page_id": PAGE, "participant_id": person, "mid": mid,
        "direction": "in", "source": "message", "sent_ms": days_ago(days), "exact": True,
        "as_of_ms": days_ago(days), "text": WORDS if days > 30 else "young",
    }  # fmt: skip
    return Message(**told | more)


def reacted(person: str, mid: str, days: float) -> Reaction:
    return Reaction(
        platform="messenger", page_id=PAGE, participant_id=person, mid=mid, actor_id=person,
        at_ms=days_ago(days), active=True, emoji="x",
    )  # fmt: skip


def happened(days: float) -> Notice:
    return Notice(
        platform="messenger", page_id=PAGE, participant_id=PERSON, kind="optin",
        occurred_ms=days_ago(days), payload=WORDS.encode() if days > 30 else b"young",
        key=str(days).encode(),
    )  # fmt: skip


async def expire(world: World) -> None:
    await Expiry(world.database, world.cache, RETENTION).run()


async def mids(world: World) -> list[str]:
    return [row[0] for row in await world.rows("select mid from messages order by mid")]


async def test_the_old_goes_the_young_stays_and_conversations_tell_what_is_left(
    world: World,
) -> None:
    told = [
        sent(PERSON, "m_old_in", 40, text=WORDS),
        sent(PERSON, "m_old_read", 35, direction="out"),
        reacted(PERSON, "m_old_in", 1),
        reacted(PERSON, "m_never_seen", 40),
        sent(PERSON, "m_young_out", 2, direction="out"),
        reacted(PERSON, "m_young_out", 1),
        sent(OTHER, "m_gone", 50),
        happened(40),
        happened(1),
    ]
    await apply(world.database, reduce(told))
    await world.rows(
        "insert into conversation_tags values ($1, $2, 'local', 'VIP', true, 1)", PAGE, OTHER
    )
    await expire(world)
    assert await mids(world) == ["m_young_out"]
    assert await world.rows("select mid from reactions") == [("m_young_out",)]
    assert await world.rows("select payload from events") == [(b"young",)]
    assert await world.rows("select 1 from conversation_tags") == []
    ((person, last_mid, last_in, unread),) = await world.rows(
        "select participant_id, last_mid, last_in_ms, unread from conversations"
    )
    assert (person, last_mid, last_in, unread) == (PERSON, "m_young_out", None, False)
    assert await world.holding(WORDS) == []
    # The feed forgets after a day.
    assert await world.holding(OTHER) == ["changes"]


async def test_it_is_told_of_and_noted_without_a_word_of_content(
    world: World, redis_url: str
) -> None:
    await apply(
        world.database,
        reduce([sent(PERSON, "m_1", 40), sent(PERSON, "m_2", 1), sent(OTHER, "m_3", 40)]),
    )
    position = await feed.now(world.database)
    listener = connect(redis_url).pubsub(ignore_subscribe_messages=True)
    await listener.subscribe("pagewire:changes")
    await listener.get_message(timeout=5)
    await expire(world)
    assert await listener.get_message(timeout=5) is not None
    await listener.aclose()
    await listener.connection_pool.aclose()
    look = await feed.since(world.database, None, position, most=10)
    assert {(*one.kinds, one.participant_id) for one in look.changes} == {
        ("expired", PERSON),
        ("expired", ""),
    }
    ((action, counts),) = await world.rows("select action, counts from audit")
    assert action == "expire"
    assert '"messages": 2' in counts
    assert '"conversations": 1' in counts


async def test_nothing_expires_where_nobody_asked_for_it(world: World) -> None:
    await apply(world.database, reduce([sent(PERSON, "m_1", 4000)]))
    await Expiry(world.database, world.cache, Retention(None)).run()
    assert await mids(world) == ["m_1"]
    assert await world.rows("select 1 from audit") == []


async def test_many_go_a_few_at_a_time_and_a_pass_goes_on_where_it_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiring, "_ROWS_AT_ONCE", 3)
    monkeypatch.setattr(expiring, "_LOOKED_AT", 2)
    people = [f"{PERSON}{number}" for number in range(5)]
    await apply(
        world.database,
        reduce([sent(who, f"m_{who}_{n}", 40) for who in people for n in range(4)]),
    )
    horizon_ms = RETENTION.horizon_ms()
    assert horizon_ms is not None
    rounds = [await expiring.expire_some(world.database, horizon_ms) for _ in range(3)]
    assert [one.more for one in rounds] == [True, True, False]
    assert [one.rows["messages"] for one in rounds] == [8, 8, 4]
    assert await world.rows("select 1 from conversations") == []
    # Then it rests for an hour.
    await apply(world.database, reduce([sent(PERSON, "m_1", 40)]))
    await expire(world)
    assert await mids(world) == ["m_1"]


async def test_what_is_being_written_to_is_left_for_the_next_pass(world: World) -> None:
    await apply(world.database, reduce([sent(PERSON, "m_1", 40), sent(PERSON, "m_2", 40)]))
    async with world.database.transaction() as connection:
        await connection.execute("update messages set kind = kind where mid = 'm_1'")
        await expire(world)
    assert await mids(world) == ["m_1"]
    await world.rows("update expiry set ended_at = '-infinity'")
    await expire(world)
    assert await mids(world) == []


async def test_letters_and_raw_copies_do_not_outlive_it(world: World) -> None:
    for days in (40, 1):
        await world.rows(
            "insert into dead_letters (digest, source, reason, error, bytes, received_ms)"
            " values ($1, 'webhook', 'refused', 'why', $2, $3)",
            str(days).encode(),
            WORDS.encode() if days == 40 else b"young",
            days_ago(days),
        )
    await expire(world)
    assert await world.rows("select bytes from dead_letters") == [(b"young",)]
    assert RETENTION.of_raw(timedelta(days=90)) == KEPT
    assert RETENTION.of_raw(timedelta(days=7)) == timedelta(days=7)


async def test_a_dropped_day_of_raw_copies_leaves_a_line(world: World) -> None:
    day = (datetime.now(UTC) - timedelta(days=9)).date()
    name = f"raw_events_{day:%Y%m%d}"
    await world.rows(
        f"create table {name} partition of raw_events"
        f" for values from ('{day} 00:00+00') to ('{day + timedelta(days=1)} 00:00+00')"
    )
    for _ in range(2):
        await keep_partitions(world.database, timedelta(days=7))
    assert await world.rows("select action, subject from audit") == [("drop", name)]


async def test_a_late_webhook_and_a_replay_bring_nothing_back(world: World) -> None:
    """Neither the row, nor the raw copy, nor a conversation."""
    gone = item(PERSON, -40 * DAY_MS, message={"mid": "m_late", "text": WORDS})
    young = message(PERSON, 2, "young")
    # The world's present lies long ago: what is kept is told from there.
    kept = datetime.now(UTC) - datetime.fromtimestamp(NOW_MS / 1000, UTC) + KEPT
    retention = Retention(kept)
    writer = Writer(world.database, world.writer._pages, world.writer._effects, retention)

    async def never() -> None:
        raise AssertionError

    await writer.write([*read_items(body(gone, young), NOW_MS)], again=False, waiting=never)
    assert await world.holding(WORDS) == []
    assert await mids(world) == [f"m_{PERSON}-2"]
    world.replays._writer = writer
    await world.replays.step(Replay(since_ms=0))
    assert await world.holding(WORDS) == []


async def test_no_sync_brings_it_back_and_none_reads_below_it(
    database: str, redis_url: str
) -> None:
    """A full walk, the history and a verification end at the horizon, time and again."""
    simulated = Config(conversations=8, messages=40, history_days=90)
    async with opened(database, redis_url, simulated, message_retention="30d") as it:
        page = it.only_page()
        horizon_ms = days_ago(30)
        truth = it.sim.truth.pages[page]
        young = {
            m.mid
            for one in truth.conversations()
            for m in one.messages
            if m.sent_ms >= horizon_ms + DAY_MS
        }
        everything = {m.mid for one in truth.conversations() for m in one.messages}
        assert 0 < len(young) < len(everything)
        await it.sync(page)
        await it.history(page)
        asked = None
        for _ in range(2):
            for mode in ("full", "history", "incremental"):
                assert (await it.sync(page, mode)).status == "complete"
            stored = {row[0] for row in await it.fetch("select mid from messages")}
            assert young <= stored
            oldest = await it.value("select min(sent_ms) from messages")
            assert oldest >= horizon_ms - DAY_MS
            told = await it.value("select count(*) from conversations where last_sent_ms is null")
            assert told == 0
            assert asked in {None, len(stored)}
            asked = len(stored)
        assert await it.value("select count(*) from conversations where not history_complete") == 0
        assert await it.value("select count(*) from sync_points where walked_at is not null") > 0
        run = await it.sync(page, "verify", options={"deep": True, "repair": True})
        assert (run.status, run.counts.missing) == ("complete", 0)
        assert await coverage.findings(it.database, run.id) == []
        assert await it.value("select count(*) from messages") == asked
