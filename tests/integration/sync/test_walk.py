"""One Page's walk."""

import asyncio

import pytest

from deploy.simulator.config import Config, Modes
from deploy.simulator.faults import Fault
from tests.integration.sync.desk import newest, store_as_webhook


async def test_a_first_sync_stores_every_conversation_with_its_newest_messages(desk):
    async with desk(Config(conversations=30, messages=40, other_folders=2, instagram=5)) as it:
        run = await it.sync(it.only_page())
        assert (run.mode, run.status) == ("full", "complete")
        expected = it.true_mids(lambda c: newest(20 if c.platform == "instagram" else 25)(c))
        assert await it.stored_mids() == expected
        assert run.counts.inserted == run.counts.synced == run.counts.total == 30 + 8 + 5
        assert run.counts.events_created == len(expected)


async def test_a_first_sync_finds_the_linked_instagram_account(desk):
    async with desk(Config(conversations=1, instagram=3)) as it:
        await it.sync(it.only_page())
        (page,) = it.sim.truth.pages.values()
        assert await it.value("select instagram_id from facebook_pages") == page.instagram_id
        rows = await it.fetch(
            "select distinct page_id from conversations where platform = $1", "instagram"
        )
        assert [row["page_id"] for row in rows] == [page.instagram_id]


async def test_the_history_walk_brings_everything_below(desk):
    async with desk(Config(conversations=12, messages=240, instagram=3)) as it:
        page = it.only_page()
        await it.sync(page)
        assert await it.value("select count(*) from conversations where history_complete") == 0
        it.sim.calls.clear()
        run = await it.history(page)
        assert len(it.sim.calls.list("/messages$")) == 12 * 3 + 3
        assert run.status == "complete"
        assert await it.value("select bool_and(history_complete) from conversations")
        stored = await it.stored_mids()
        readable = it.true_mids(lambda c: newest(20 if c.platform == "instagram" else 1000)(c))
        assert {mid: stored[mid] for mid in readable} == readable


async def test_instagrams_wall_is_an_end_and_no_deletion(desk):
    async with desk(Config(conversations=1, messages=50, instagram=4)) as it:
        page = it.only_page()
        await it.sync(page)
        run = await it.history(page)
        assert run.status == "complete"
        rows = await it.fetch(
            "select text, deleted_at, unreadable_at from messages"
            " where platform = 'instagram' and sent_ms is null"
        )
        assert rows
        assert all(row["unreadable_at"] and not row["deleted_at"] for row in rows)
        assert await it.value("select bool_and(history_complete) from conversations")


async def test_a_short_conversation_is_complete_at_once(desk):
    async with desk(Config(conversations=5, messages=10)) as it:
        await it.sync(it.only_page())
        assert await it.value("select bool_and(history_complete) from conversations")
        assert await it.value("select count(*) from sync_runs where mode = 'history'") == 0


async def test_an_incremental_sync_finds_what_changed_in_two_calls(desk):
    async with desk(Config(conversations=200, messages=5)) as it:
        page = it.only_page()
        await it.sync(page)
        it.sim.happen(page, conversations=10, webhook=False)
        it.sim.calls.clear()
        run = await it.sync(page)
        assert (run.mode, run.status, run.counts.updated) == ("incremental", "complete", 10)
        assert it.sim.calls.requests() <= 2
        assert await it.stored_mids() == it.true_mids()


async def test_a_gap_deeper_than_the_nested_messages_is_read_inwards(desk):
    async with desk(Config(conversations=4, messages=30), sync_messages="5") as it:
        page = it.only_page()
        await it.sync(page)
        await it.history(page)
        it.sim.happen(page, conversations=2, count=130, webhook=False)
        run = await it.sync(page)
        assert run.mode == "incremental"
        assert await it.stored_mids() == it.true_mids()


async def test_a_gap_below_a_message_that_a_webhook_brought_is_found(desk):
    async with desk(Config(conversations=3, messages=3), sync_messages="2") as it:
        page = it.only_page()
        await it.sync(page)
        await it.history(page)
        it.sim.happen(page, conversations=1, count=8, webhook=False)
        (late,) = it.sim.happen(page, conversations=1, webhook=False)
        # A webhook brings the newest message: what lies between stays unknown to us.
        await store_as_webhook(it, late)
        await it.sync(page)
        assert await it.stored_mids() == it.true_mids()


async def test_a_conversation_that_jumps_to_the_front_is_found_by_the_next_sync(desk):
    async with desk(Config(conversations=60, messages=3), sync_slice="10") as it:
        page = it.only_page()
        run = await it.request(page)
        slow = it.sim.faults.add(Fault(kind="slow", path="/conversations$", skip=2, count=1))
        walking = asyncio.create_task(it.finish(run))
        await it.sim.faults.holding(slow)
        it.sim.happen(page, conversations=10, webhook=False)
        it.sim.faults.remove(slow)
        await walking
        await it.sync(page)
        assert await it.stored_mids() == it.true_mids()


@pytest.mark.parametrize("cursors", ["position", "offset"])
async def test_changes_under_and_after_the_walk_are_all_found(desk, cursors):
    simulated = Config(conversations=100, messages=8, modes=Modes(cursors=cursors))
    async with desk(simulated, sync_slice="7") as it:
        page = it.only_page()
        for spot in (2, 4, 6, 9):
            it.sim.faults.add(
                Fault(kind="slow", seconds=0.05, path="/conversations$", skip=spot, count=1)
            )
        walking = asyncio.create_task(it.sync(page))
        while not walking.done():
            it.sim.happen(page, conversations=1, webhook=False)
            await asyncio.sleep(0.02)
        it.sim.happen(page, conversations=10, webhook=False)
        await it.sync(page)
        assert await it.stored_mids() == it.true_mids()


async def test_the_sync_point_is_facebooks_clock_at_the_walks_first_reply(desk):
    async with desk(Config(conversations=30, messages=2, clock_skew=7200), sync_slice="10") as it:
        page = it.only_page()
        before = it.sim.clock.now_ms()
        await it.sync(page)
        point = await it.value("select synced_to from sync_points where folder = 'inbox'")
        assert before - 1000 <= point.timestamp() * 1000 <= it.sim.clock.now_ms()


async def test_a_sync_point_never_goes_back(desk):
    async with desk(Config(conversations=3)) as it:
        page = it.only_page()
        await it.sync(page)
        point = await it.value("select last_synced_at from facebook_pages")
        it.sim.clock.skew -= 3600
        await it.sync(page)
        assert await it.value("select last_synced_at from facebook_pages") == point


async def test_a_second_sync_writes_nothing_and_announces_nothing(desk):
    async with desk(Config(conversations=20, messages=5)) as it:
        page = it.only_page()
        await it.sync(page)
        changes = await it.value("select max(id) from changes")
        run = await it.sync(page, "full")
        assert run.counts.inserted == run.counts.updated == run.counts.events_created == 0
        assert run.counts.skipped == run.counts.total == 20
        assert await it.value("select max(id) from changes") == changes


async def test_an_unchanged_conversation_is_skipped_once_its_second_is_long_over(desk):
    async with desk(Config(conversations=20, messages=3), sync_overlap="1s") as it:
        page = it.only_page()
        await it.sync(page)
        it.sim.happen(page, conversations=5, webhook=False)
        # Graph's own clock goes on past the overlap: what it says now of those five is final.
        it.sim.clock.skew += 120
        assert (await it.sync(page)).counts.updated == 5
        await it.value("update sync_points set synced_to = synced_to - interval '10 minutes'")
        it.sim.clock.skew += 10
        looked_at = await it.value("select max(text_as_of_ms) from messages")
        run = await it.sync(page)
        assert (run.counts.skipped, run.counts.updated) == (5, 0)
        assert await it.value("select max(text_as_of_ms) from messages") == looked_at


async def test_two_messages_in_one_second_are_not_taken_for_one(desk):
    async with desk(Config(conversations=5, messages=3)) as it:
        page = it.only_page()
        await it.sync(page)
        (update,) = it.sim.happen(page, conversations=1, webhook=False)
        await it.sync(page)
        # The second one gets the very second of the first.
        first = it.sim.truth.messages[update.mid]
        it.sim.clock.skew -= (it.sim.clock.now_ms() - first.sent_ms) / 1000
        it.sim.happen(page, conversations=[first.conversation.thread], webhook=False)
        await it.sync(page)
        assert await it.stored_mids() == it.true_mids()


async def test_a_folder_that_cannot_be_listed_is_set_aside_with_its_reason(desk):
    async with desk(Config(conversations=3, other_folders=2)) as it:
        page = it.only_page()
        it.sim.faults.add(Fault(kind="error", error="100", path="/conversations$", skip=4, count=1))
        run = await it.sync(page)
        assert run.status == "complete"
        (aside,) = await it.fetch("select * from sync_points where set_aside is not null")
        assert aside["set_aside"]
        assert aside["synced_to"] is None
        run = await it.sync(page, "full")
        assert await it.value("select count(*) from sync_points where set_aside is not null") == 0
        assert await it.stored_mids() == it.true_mids(newest(25))


async def test_a_closed_instagram_account_does_not_stop_messenger(desk):
    async with desk(Config(conversations=3, messages=3, instagram=2)) as it:
        page = it.only_page()
        await it.sync(page)
        it.sim.happen(page, conversations=2, webhook=False)
        it.sim.faults.add(
            Fault(kind="error", error="200/2534041", path="/conversations$", skip=1, count=1)
        )
        run = await it.sync(page)
        assert run.status == "complete"
        assert await it.value("select status from facebook_pages") == "active"
        aside = await it.fetch("select platform from sync_points where set_aside is not null")
        assert [row["platform"] for row in aside] == ["instagram"]


async def test_a_page_without_messages_is_synced(desk):
    async with desk(Config(conversations=0)) as it:
        run = await it.sync(it.only_page())
        assert (run.status, run.counts.total) == ("complete", 0)
        assert await it.value("select last_synced_at from facebook_pages") is not None


async def test_an_empty_last_slice_is_an_end(desk):
    simulated = Config(conversations=20, messages=4, modes=Modes(trailing_next=True))
    async with desk(simulated, sync_slice="10", sync_messages="4") as it:
        run = await it.sync(it.only_page())
        assert run.status == "complete"
        assert await it.stored_mids() == it.true_mids()
