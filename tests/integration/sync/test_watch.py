"""Subscriptions that vanish, schedules, and runs nobody holds."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from deploy.simulator.config import Config
from deploy.simulator.faults import Fault
from shared import metrics
from shared.facebook.graph.limits import Priority
from shared.facebook.graph.requests import WANTED_FIELDS
from shared.store import coverage, runs
from worker.sync.schedule import ask_for_due
from worker.sync.watch import Watch

EVERY = timedelta(minutes=5)


def watch(it) -> Watch:
    return Watch(it.database, it.tools.graph, it.keys, it.sim.config.app_id)


def now() -> datetime:
    return datetime.now(UTC)


async def test_fifty_pages_are_looked_at_in_one_request_and_only_when_it_is_time(desk):
    async with desk(Config(pages=6, conversations=1)) as it:
        await watch(it).look(EVERY, now())
        assert it.sim.calls.requests() == 1
        await watch(it).look(EVERY, now())
        assert it.sim.calls.requests() == 1
        await it.value("update sync_points set synced_to = synced_to - interval '10 minutes'")
        await watch(it).look(EVERY, now())
        assert it.sim.calls.requests() == 2
        assert await it.value("select count(*) from sync_runs") == 0


async def test_a_page_that_was_dropped_is_subscribed_again_and_repaired_from_before(desk):
    async with desk(Config(pages=2, conversations=3, messages=2)) as it:
        dropped, _ = it.sim.truth.pages.values()
        for page in it.sim.truth.pages:
            await it.sync(page)
        await watch(it).look(EVERY, now())
        await it.value("update sync_points set synced_to = synced_to - interval '1 hour'")
        last = await it.value(
            "select max(last_message_at) from conversations where page_id = $1", dropped.id
        )
        dropped.subscribed_fields = frozenset({"feed", "messages"})
        it.sim.happen(dropped.id, conversations=2)
        await watch(it).look(EVERY, now())
        assert dropped.subscribed_fields == {"feed"}.union(WANTED_FIELDS)
        (run,) = await it.fetch("select * from sync_runs where mode = 'repair'")
        assert (run["page_id"], run["since"]) == (dropped.id, last)
        repaired = await it.finish(await runs.find(it.database, run["id"]))
        assert repaired.status == "complete"
        assert await it.stored_mids() == it.true_mids()


async def test_a_repair_begins_where_we_were_last_seen_subscribed_if_nothing_came_before(desk):
    async with desk(Config(conversations=1)) as it:
        (page,) = it.sim.truth.pages.values()
        await watch(it).look(EVERY, now())
        await it.value("update sync_points set synced_to = synced_to - interval '1 hour'")
        seen = await it.value("select synced_to from sync_points where folder = 'subscription'")
        page.subscribed_fields = frozenset()
        await watch(it).look(EVERY, now())
        assert await it.value("select since from sync_runs where mode = 'repair'") == seen


async def test_a_gap_is_remembered_when_subscribing_fails(desk):
    async with desk(Config(conversations=1)) as it:
        (page,) = it.sim.truth.pages.values()
        page.subscribed_fields = frozenset()
        it.sim.faults.add(Fault(kind="error", error="1", path="subscribed_apps$", skip=1, count=1))
        await watch(it).look(EVERY, now())
        assert page.subscribed_fields == frozenset()
        assert await it.value("select count(*) from sync_runs where mode = 'repair'") == 1
        await watch(it).look(EVERY, now())
        assert page.subscribed_fields.issuperset(WANTED_FIELDS)
        assert await it.value("select count(*) from sync_runs where mode = 'repair'") == 1


async def test_a_page_with_a_dead_token_does_not_keep_the_others_from_being_watched(desk):
    async with desk(Config(pages=3, conversations=1)) as it:
        dead, *_ = it.sim.truth.pages.values()
        it.sim.tokens.kill(dead, 460)
        await watch(it).look(EVERY, now())
        seen = await it.fetch("select page_id from sync_points where folder = 'subscription'")
        assert {row["page_id"] for row in seen} == set(it.sim.truth.pages) - {dead.id}


async def due(it) -> None:
    await ask_for_due(it.database, interval=EVERY, full_interval=timedelta(days=1), now=now())


async def test_what_is_due_is_asked_for_once_and_as_one_batch(desk):
    async with desk(Config(pages=3, conversations=1, messages=1)) as it:
        await due(it)
        await due(it)
        (batch,) = await it.fetch("select id, priority from sync_runs where mode = 'all'")
        assert batch["priority"] == Priority.CRON
        members = await runs.members(it.database, batch["id"])
        assert [run.mode for _, run in members] == ["full"] * 3
        await it.finish(await runs.find(it.database, batch["id"]))
        await due(it)
        assert await it.value("select count(*) from sync_runs where mode = 'all'") == 1
        await it.value("update sync_runs set requested_at = requested_at - interval '2 days'")
        await due(it)
        await due(it)
        assert await it.value("select count(*) from sync_runs where mode = 'incremental'") == 3


async def test_a_metric_tells_when_each_page_was_proven_complete_and_how_closely(desk):
    async with desk(Config(pages=2, conversations=1, messages=1)) as it:
        proven, never = it.sim.truth.pages
        await it.sync(proven)
        await it.sync(proven, "verify", options={"deep": True})
        await due(it)
        at = await it.value("select max(proven_at) from facebook_pages")
        told = {
            (sample.labels["page"], sample.labels["level"]): sample.value
            for sample in metrics.page_proven.collect()[0].samples
        }
        assert told == {(proven, "deep"): at.timestamp(), (never, ""): 0}


async def test_runs_nobody_holds_are_found_and_those_that_rest_are_left_alone(desk):
    async with desk(Config(pages=4, conversations=1)) as it:
        held, resting, parked, _ = it.sim.truth.pages
        batch = await runs.request_all(it.database, full=False, priority=Priority.CRON)
        for _, run in await runs.members(it.database, batch.id):
            if run.page_id == held:
                await runs.take(it.database, run.id, uuid4(), 1)
            if run.page_id == resting:
                await it.value(
                    "update sync_runs set resume_at = now() + interval '1 hour' where id = $1",
                    run.id,
                )
        await it.value(
            "update facebook_pages set status = 'parked' where facebook_page_id = $1", parked
        )
        (waking,) = await runs.wake(it.database, 100)
        assert (waking.id, waking.priority, waking.runs) == (batch.id, Priority.CRON, 1)
        assert await runs.wake(it.database, 100) == []


async def test_a_run_of_its_own_is_woken_by_its_own_id(desk):
    async with desk(Config(conversations=1)) as it:
        run = await it.request(it.only_page())
        assert [one.id for one in await runs.wake(it.database, 100)] == [run.id]
        await it.finish(run)
        await it.value("update sync_runs set woken_at = null")
        assert all(one.id != run.id for one in await runs.wake(it.database, 100))


async def test_old_runs_are_forgotten(desk):
    async with desk(Config(conversations=1)) as it:
        await it.sync(it.only_page())
        await it.value("update sync_runs set finished_at = finished_at - interval '9 days'")
        await runs.forget(it.database, timedelta(days=7))
        assert await it.value("select count(*) from sync_runs where finished_at is not null") == 0


async def test_activity_tells_when_a_page_was_asked_for_and_when_it_was_lively(desk):
    async with desk(Config(conversations=5, messages=2)) as it:
        page = it.only_page()
        (before,) = await coverage.page_activity(it.database)
        assert (before.asked_at, before.walked_at, before.recent) == (None, None, 0)
        it.sim.happen(page, conversations=2, webhook=False)
        await it.sync(page)
        (after,) = await coverage.page_activity(it.database)
        assert after.asked_at
        assert after.walked_at
        assert not after.is_walking
        assert 2 <= after.recent <= 5
        assert now() - after.last_message_at < timedelta(minutes=1)


async def test_a_person_who_asks_does_not_wait_for_a_retry_that_is_minutes_away(desk):
    async with desk(Config(conversations=3)) as it:
        page = it.only_page()
        run = await it.request(page, priority=Priority.CRON)
        await it.value(
            "update sync_runs set status = 'interrupted', error = 'x',"
            " resume_at = now() + interval '9 minutes'"
        )
        waits = await it.request(page, priority=Priority.CRON)
        assert (waits.id, waits.status) == (run.id, "interrupted")
        goes_on = await it.request(page, priority=Priority.PEOPLE)
        assert (goes_on.id, goes_on.status, goes_on.error) == (run.id, "queued", None)
        assert (await it.finish(run)).status == "complete"


async def test_a_person_who_asks_does_not_open_what_facebook_has_closed(desk):
    async with desk(Config(conversations=3)) as it:
        page = it.only_page()
        it.sim.faults.add(Fault(kind="error", error="80006", count=1))
        run = await it.sync(page)
        assert (run.status, run.error_code) == ("interrupted", "80006")
        it.sim.calls.clear()
        again = await it.sync(page)
        assert (again.id, again.status) == (run.id, "interrupted")
        assert it.sim.calls.requests() == 0
        assert again.error
