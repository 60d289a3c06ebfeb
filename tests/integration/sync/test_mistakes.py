"""What the system before this one got wrong, each shown not to happen here."""

import asyncio
import contextlib
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from deploy.simulator import wire
from deploy.simulator.config import Config, Modes
from deploy.simulator.faults import Fault
from shared import config, events, metrics
from shared.cache import CHANNEL, Cache, Question, about_conversation
from shared.errors import SettingsError
from shared.facebook.graph.limits import Priority
from shared.facebook.webhook.body import parse
from shared.ids import conversation_id
from shared.redis import connect
from shared.store import pages, runs
from shared.store.applying import apply
from tests.integration.intake.intake_world import World
from worker.merge import reduce
from worker.outcome import Done
from worker.sync import hold

SLICES = "/conversations$"


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch):
    monkeypatch.setattr(hold, "_backoff", lambda _: timedelta(milliseconds=20))


async def test_1_the_watermark_is_not_the_time_at_the_end(desk):
    """What changed between a walk's first reply and its end is fetched by the next one."""
    async with desk(Config(conversations=40, messages=2), sync_slice="10") as it:
        page = it.only_page()
        slow = it.sim.faults.add(Fault(kind="slow", path=SLICES, skip=1, count=1))
        walking = asyncio.create_task(it.sync(page))
        await it.sim.faults.holding(slow)
        # Graph tells times by the second: one more must pass since the first reply.
        await asyncio.sleep(1.1)
        (update,) = it.sim.happen(page, conversations=1, webhook=False)
        it.sim.faults.remove(slow)
        run = await walking
        point = await it.value("select synced_to from sync_points where folder = 'inbox'")
        changed_ms = it.sim.truth.messages[update.mid].sent_ms
        assert point.timestamp() * 1000 <= changed_ms < run.finished_at.timestamp() * 1000
        await it.sync(page)
        assert await it.stored_mids() == it.true_mids()


async def test_2_a_sync_of_all_pages_reads_past_the_first_slice(desk):
    async with desk(Config(pages=3, conversations=25, messages=1), sync_slice="10") as it:
        batch = await runs.request_all(it.database, full=False, priority=Priority.PEOPLE)
        await it.finish(batch)
        assert await it.value("select count(*) from conversations") == 75
        assert (
            await it.value("select count(*) from facebook_pages where last_synced_at is not null")
            == 3
        )


@pytest.mark.parametrize("sqlstate", ["40001", "53100"])
async def test_3_a_failed_write_keeps_the_sync_point_where_it_was(desk, sqlstate):
    async with desk(Config(conversations=12, messages=2), sync_slice="5") as it:
        page = it.only_page()
        await it.value(
            "create function fail() returns trigger language plpgsql as "
            f"$$ begin raise exception 'no' using errcode = '{sqlstate}'; end $$"
        )
        await it.value("create trigger fail before insert on messages execute function fail()")
        run = await it.request(page)
        with pytest.raises(Exception, match="no"):
            await it.step(run)
        assert await it.value("select count(*) from sync_points") == 0
        assert (await pages.find(it.database, page)).last_synced_at is None
        await it.value("drop trigger fail on messages")
        assert (await it.finish(run)).status == "complete"
        assert await it.stored_mids() == it.true_mids()


async def test_4_an_error_or_a_limit_in_the_middle_is_no_success_and_keeps_the_place(desk):
    async with desk(Config(conversations=60, messages=1), sync_slice="10") as it:
        page = it.only_page()
        it.sim.faults.add(Fault(kind="error", error="80006", path=SLICES, skip=7, count=1))
        run = await it.request(page)
        await it.step(run)
        told = await runs.find(it.database, run.id)
        assert told.status == "interrupted"
        assert told.error
        assert 0 < told.counts.total < 60
        assert (await pages.find(it.database, page)).last_synced_at is None
        await it.value("update sync_runs set resume_at = now()")
        await it.tools.graph._budget._take.registered_client.flushall()
        it.sim.calls.clear()
        assert (await it.finish(run)).status == "complete"
        asked = [call.parameters.get("after") for call in it.sim.calls.list(SLICES)]
        assert all(asked), "it began at the top again"
        assert await it.stored_mids() == it.true_mids()


async def test_5_more_than_the_newest_25_messages_and_not_only_of_new_conversations(desk):
    async with desk(Config(conversations=3, messages=60)) as it:
        page = it.only_page()
        await it.sync(page)
        await it.history(page)
        it.sim.happen(page, conversations=2, count=40, webhook=False)
        await it.sync(page)
        assert await it.stored_mids() == it.true_mids()


async def test_6_inserted_and_updated_are_what_postgres_did(desk):
    async with desk(Config(conversations=10, messages=2)) as it:
        page = it.only_page()
        first = (await it.sync(page)).counts
        assert (first.inserted, first.updated, first.events_created) == (10, 0, 20)
        it.sim.happen(page, conversations=4, count=2, webhook=False)
        second = (await it.sync(page)).counts
        assert (second.inserted, second.updated, second.events_created) == (0, 4, 8)


async def test_7_a_second_sync_doubles_nothing(desk):
    async with desk(Config(conversations=10, messages=5)) as it:
        page = it.only_page()
        for _ in range(3):
            await it.sync(page, "full")
        assert await it.value("select count(*) from messages") == 50
        assert await it.value("select count(*) from conversations") == 10


async def test_8_a_conversation_and_its_messages_are_stored_together_or_not_at_all(desk):
    async with desk(Config(conversations=3, messages=5)) as it:
        await it.value(
            "create function fail() returns trigger language plpgsql as "
            "$$ begin raise exception 'no' using errcode = '40001'; end $$"
        )
        await it.value("create trigger fail before insert on conversations execute function fail()")
        run = await it.request(it.only_page())
        with pytest.raises(Exception, match="no"):
            await it.step(run)
        assert await it.value("select count(*) from messages") == 0
        assert await it.value("select cursor from sync_runs") is None


async def test_9_the_webhook_says_200_to_nothing_that_is_unsigned_or_not_kept(
    redis_url, database, capfd
):
    """It has no verify token of its own either, and what people write stays out of its log."""
    with pytest.raises(SettingsError, match="WEBHOOK_VERIFY_TOKEN"):
        config.load({}, wants=("webhook_verify_token",))
    ingress, body = World(redis_url, database), b'{"text":"canary-9"}'
    await ingress.start()
    assert (await ingress.post(body, secret="somebody-else's"))[0] == 401
    assert (await ingress.post(body))[0] == 200
    await ingress.stop()
    await ingress.redis.aclose()
    nowhere = World("redis://127.0.0.1:1", "postgresql://127.0.0.1:1/nowhere")
    await nowhere.start()
    assert (await nowhere.post(body))[0] == 503
    await nowhere.stop()
    assert "canary-9" not in "".join(capfd.readouterr())


async def test_10_every_kind_of_event_is_stored_and_echoes_say_that_they_are(desk):
    async with desk(Config(conversations=1, messages=4)) as it:
        page = it.only_page()
        acts = ("message", "echo", "postback", "edit", "react", "read", "deliver", "label")
        told = [update for act in acts for update in it.sim.happen(page, act, webhook=False)]
        body = wire.encode(wire.body("page", told, it.sim.clock.now_ms()))
        items = parse(body, it.sim.clock.now_ms())
        await apply(it.database, reduce([event for one in items for event in one.events]))
        for what in (
            "messages where direction = 'in' and kind = 'message' and sent_ms is not null",
            "messages where direction = 'out' and source = 'echo'",
            "messages where kind = 'postback'",
            "messages where num_edit > 0",
            "reactions where active",
            "conversations where read_watermark_ms > 0 and delivered_watermark_ms > 0",
            "conversation_tags where active",
        ):
            assert await it.value(f"select count(*) from {what}"), what
        (unsend,) = it.sim.happen(page, "unsend", webhook=False)
        body = wire.encode(wire.body("page", [unsend], it.sim.clock.now_ms()))
        (item,) = parse(body, it.sim.clock.now_ms())
        await apply(it.database, reduce(item.events))
        assert await it.value("select count(*) from messages where deleted_ms is not null")


async def test_11_a_sync_does_not_overwrite_a_newer_webhook(desk):
    async with desk(Config(conversations=1, messages=1)) as it:
        page = it.only_page()
        await it.sync(page)
        (conversation,) = it.sim.truth.page(page).conversations()
        mid = conversation.messages[0].mid
        edit = events.Edit(
            platform="messenger",
            page_id=page,
            participant_id=conversation.person.id,
            mid=mid,
            direction=None,
            at_ms=it.sim.clock.now_ms(),
            num_edit=1,
            text="the newer text",
        )
        await apply(it.database, reduce([edit]))
        # Graph lags behind: what it tells now is the old text.
        await it.sync(page, "full")
        assert await it.stored_mids() == {mid: "the newer text"}


async def test_11_two_clicks_are_one_sync(desk):
    async with desk(Config(conversations=20, messages=1), sync_slice="5") as it:
        page = it.only_page()
        first, second = await asyncio.gather(it.request(page), it.request(page))
        assert first.id == second.id
        await asyncio.gather(it.finish(first), it.finish(second))
        assert len(it.sim.calls.list(SLICES)) == 4 + 4
        assert await it.value("select count(*) from sync_runs where mode = 'full'") == 1


async def test_11_a_full_sync_follows_an_incremental_one_that_runs(desk):
    async with desk(Config(conversations=3)) as it:
        page = it.only_page()
        await it.sync(page)
        running = await it.request(page)
        await runs.take(it.database, running.id, uuid4(), 1)
        full = await it.request(page, "full")
        assert full.id != running.id
        assert (await it.request(page)).id == running.id
        assert (await it.request(page, "full")).id == full.id
        ending = await it.step(full)
        assert ending != Done()
        assert (await runs.find(it.database, full.id)).status == "queued"
        await it.value("update sync_runs set lease_until = now() where id = $1", running.id)
        await it.finish(running)
        assert (await it.finish(full)).status == "complete"


async def test_12_deleted_unreadable_and_absent_are_three_things(desk):
    async with desk(Config(conversations=3, messages=30, instagram=1)) as it:
        page = it.only_page()
        await it.sync(page)
        await it.history(page)
        taken_back, vanished, *_ = it.sim.truth.page(page).inboxes["messenger", "inbox"].rows
        mid, absent = taken_back.messages[-1].mid, vanished.messages[3].mid
        unsend = events.Unsend(
            platform="messenger",
            page_id=page,
            participant_id=taken_back.person.id,
            mid=mid,
            direction=None,
            at_ms=it.sim.clock.now_ms(),
        )
        await apply(it.database, reduce([unsend]))
        it.sim.truth.unsend(vanished.messages[3], it.sim.clock.now_ms())
        await it.sync(page, "full")
        states = {
            row["mid"]: (row["text"], bool(row["deleted_at"]), bool(row["unreadable_at"]))
            for row in await it.fetch("select * from messages")
        }
        assert states[mid] == (None, True, False)
        _, deleted, unreadable = states[absent]
        assert (deleted, unreadable) == (False, False)
        hidden = [state for state in states.values() if state[2]]
        assert hidden
        assert all(state == (None, False, True) for state in hidden)
        # Nothing is counted: a count cannot be wrong.
        assert (
            await it.value(
                "select count(*) from information_schema.columns where column_name like '%_count'"
                " and table_name = 'conversations'"
            )
            == 0
        )


async def test_13_exactly_the_conversations_that_changed_are_announced(desk, redis_url):
    async with desk(Config(conversations=30, messages=2)) as it:
        page = it.only_page()
        await it.sync(page)
        updates = it.sim.happen(page, conversations=3, webhook=False)
        changed = {it.sim.truth.messages[update.mid].conversation for update in updates}
        before = await it.value("select max(id) from changes")
        async with connect(redis_url) as redis, redis.pubsub() as listening:
            await listening.subscribe(CHANNEL)
            await it.sync(page)
            await redis.publish(CHANNEL, b"")
            announced = set()
            async for message in listening.listen():
                if message["type"] == "message":
                    ids = message["data"]
                    if not ids:
                        break
                    announced |= {UUID(bytes=ids[n : n + 16]) for n in range(0, len(ids), 16)}
        expected = {conversation_id(page, conversation.person.id) for conversation in changed}
        assert announced == expected
        rows = await it.fetch("select conversation_id from changes where id > $1", before)
        assert {row["conversation_id"] for row in rows} == expected


async def test_14_everybody_shares_one_budget_and_nobody_sleeps_on_a_limit(desk):
    simulated = Config(conversations=12, messages=60, modes=Modes(page_calls_per_second=2))
    async with desk(simulated, sync_slice="4", graph_page_calls_per_second="2") as it:
        page = it.only_page()
        walk = await it.request(page)
        history = await it.request(page, "history", priority=Priority.HISTORY)

        async def some_history() -> None:
            with contextlib.suppress(TimeoutError):
                await it.finish(history, within=4)

        await asyncio.gather(it.finish(walk), some_history())
        assert it.sim.calls.list(code=613) == []
        it.sim.faults.add(Fault(kind="error", error="80006", count=1))
        run = await it.request(page, "full")
        async with asyncio.timeout(5):
            await it.step(run)
        assert (await runs.find(it.database, run.id)).resume_at is not None


async def test_15_a_batch_uses_each_pages_own_token_and_believes_no_failed_item(desk):
    async with desk(Config(pages=3, conversations=2, messages=1)) as it:
        dead, *well = it.sim.truth.pages
        it.sim.tokens.kill(it.sim.truth.page(dead), 492)
        batch = await runs.request_all(it.database, full=False, priority=Priority.PEOPLE)
        await it.finish(batch)
        assert {
            row["page_id"] for row in await it.fetch("select page_id from conversations")
        } == set(well)
        synced = {
            page.facebook_page_id: page.last_synced_at is not None
            for page in await pages.listing(it.database)
        }
        assert synced == {dead: False} | dict.fromkeys(well, True)


async def test_16_an_expired_token_does_not_look_like_nothing_new(desk):
    async with desk(Config(conversations=5)) as it:
        page = it.only_page()
        await it.sync(page)
        it.sim.tokens.kill(it.sim.truth.page(page), 463)
        alarms = metrics.pages_parked._value.get()
        run = await it.sync(page)
        assert metrics.pages_parked._value.get() == alarms + 1
        assert (run.status, run.error_code) == ("interrupted", "190/463")
        assert "expired" in run.error
        found = await pages.find(it.database, page)
        assert (found.status, found.status_reason) == ("parked", run.error)


async def test_17_a_sync_tells_how_far_it_is_and_why_it_stopped(desk):
    async with desk(Config(conversations=60, messages=1), sync_slice="10") as it:
        page = it.only_page()
        run = await it.request(page)
        slow = it.sim.faults.add(Fault(kind="slow", path="^/$|conversations$", skip=3, count=1))
        walking = asyncio.create_task(it.finish(run))
        while not (told := await runs.find(it.database, run.id)).counts.total:
            await asyncio.sleep(0.01)
        assert told.status == "running"
        assert 0 < told.counts.total < 60
        it.sim.faults.remove(slow)
        assert (await walking).counts.total == 60
        it.sim.faults.add(Fault(kind="error", error="104"))
        failed = await it.sync(page)
        assert failed.status == "failed"
        assert failed.error
        assert failed.finished_at


async def test_18_what_a_sync_changes_is_fresh_in_every_process_at_once(desk, redis_url):
    async with desk(Config(conversations=1, messages=1)) as it:
        page = it.only_page()
        await it.sync(page)
        (conversation,) = it.sim.truth.page(page).conversations()
        mine = conversation_id(page, conversation.person.id)
        question = Question("messages", mine.hex, (about_conversation(mine),))

        async def load() -> bytes:
            return b"%d" % await it.value("select count(*) from messages")

        processes = [Cache(connect(redis_url)) for _ in range(3)]
        assert {await one.get(question, load) for one in processes} == {b"1"}
        it.sim.happen(page, conversations=1, webhook=False)
        await it.sync(page)
        assert {await one.get(question, load) for one in processes} == {b"2"}
        for one in processes:
            await one.aclose()


async def test_since_is_never_sent_so_no_mode_of_it_changes_anything(desk):
    for mode in ("ignore", "honour", "exclusive", "refuse"):
        async with desk(Config(conversations=20, messages=2, modes=Modes(since=mode))) as it:
            page = it.only_page()
            await it.sync(page)
            it.sim.happen(page, conversations=5, webhook=False)
            await it.sync(page)
            assert it.true_mids().items() <= (await it.stored_mids()).items()
            assert all("since" not in call.parameters for call in it.sim.calls.list())
            await it.value("truncate messages, conversations, sync_points, sync_runs cascade")
