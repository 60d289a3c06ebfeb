"""Proof that nothing is missing, and what is when something is."""

import pytest

from deploy.simulator.config import Config
from deploy.simulator.faults import Fault
from shared.store import coverage, pages


async def complete(it) -> str:
    page = it.only_page()
    await it.sync(page)
    await it.history(page)
    return page


async def verify(it, page, **options):
    return await it.sync(page, "verify", options=options)


@pytest.fixture
def settled() -> Config:
    """Conversations whose last message is long ago."""
    return Config(conversations=20, messages=40, instagram=3, other_folders=1)


@pytest.mark.parametrize("deep", [False, True])
async def test_a_complete_page_is_proven_complete_at_the_level_that_was_looked_at(
    desk, settled, deep
):
    async with desk(settled) as it:
        page = await complete(it)
        run = await verify(it, page, deep=deep)
        assert (run.status, run.counts.missing, run.counts.total) == ("complete", 0, 27)
        proven = await pages.find(it.database, page)
        assert proven.proven_level == ("deep" if deep else "newest")
        assert proven.proven_at is not None


async def test_every_missing_conversation_and_message_is_named(desk, settled):
    async with desk(settled) as it:
        page = await complete(it)
        gone, hurt, *_ = await it.fetch("select * from conversations where page_id = $1", page)
        await it.value("delete from messages where participant_id = $1", gone["participant_id"])
        await it.value(
            "delete from conversations where participant_id = $1", gone["participant_id"]
        )
        mid = await it.value(
            "delete from messages where mid = (select mid from messages where participant_id = $1"
            " order by sent_ms desc limit 1) returning mid",
            hurt["participant_id"],
        )
        run = await verify(it, page)
        found = await coverage.findings(it.database, run.id)
        assert {(one.thread_id, one.mid) for one in found} == {
            (gone["thread_id"], ""),
            (hurt["thread_id"], mid),
        }
        assert run.counts.missing == 2
        assert (await pages.find(it.database, page)).proven_at is None


async def test_only_a_deep_look_sees_below_the_newest_messages(desk, settled):
    async with desk(settled) as it:
        page = await complete(it)
        mid = await it.value(
            "delete from messages where mid = (select mid from messages where page_id = $1"
            " order by sent_ms limit 1) returning mid",
            page,
        )
        assert (await verify(it, page)).counts.missing == 0
        run = await verify(it, page, deep=True)
        (found,) = await coverage.findings(it.database, run.id)
        assert found.mid == mid


async def test_repair_fetches_what_is_missing_and_nothing_else(desk, settled):
    async with desk(settled) as it:
        page = await complete(it)
        before = await it.stored_mids()
        gone = await it.value("select participant_id from conversations where page_id = $1", page)
        await it.value("delete from messages where participant_id = $1", gone)
        await it.value("delete from conversations where participant_id = $1", gone)
        await it.value(
            "delete from messages where mid in (select mid from messages where page_id = $1"
            " order by sent_ms desc limit 3)",
            page,
        )
        it.sim.calls.clear()
        run = await verify(it, page, deep=True, repair=True)
        assert run.status == "complete"
        assert run.counts.repaired == run.counts.missing > 0
        assert await it.stored_mids() == before
        assert await coverage.findings(it.database, run.id, open_only=True) == []
        assert len(it.sim.calls.list("^/m_[^/]*$")) <= 3
        assert (await pages.find(it.database, page)).proven_level == "deep"


async def test_five_percent_of_messages_lost_are_all_found_and_repaired(desk):
    async with desk(Config(conversations=30, messages=60)) as it:
        page = await complete(it)
        before = await it.stored_mids()
        await it.value("delete from messages where hashtext(mid) % 20 = 0")
        lost = len(before) - len(await it.stored_mids())
        assert lost > 20
        run = await verify(it, page, deep=True, repair=True)
        assert run.counts.missing == run.counts.repaired == lost
        assert await it.stored_mids() == before
        assert (await verify(it, page, deep=True)).counts.missing == 0


async def test_a_verification_that_was_stopped_goes_on_and_forgets_no_finding(desk):
    async with desk(Config(conversations=30, messages=2), sync_slice="5") as it:
        page = await complete(it)
        await it.value("delete from messages where hashtext(mid) % 3 = 0")
        run = await it.request(page, "verify", options={"repair": False})
        it.sim.faults.add(
            Fault(kind="error", error="80006", path="conversations$", skip=8, count=1)
        )
        await it.step(run)
        found = len(await coverage.findings(it.database, run.id))
        assert found > 0
        await it.value("update sync_runs set resume_at = now()")
        await it.tools.graph._budget._take.registered_client.flushall()
        done = await it.finish(run)
        assert done.counts.missing == len(await coverage.findings(it.database, run.id)) > found


async def test_what_is_just_on_its_way_is_not_called_missing(desk):
    async with desk(Config(conversations=3, messages=0)) as it:
        page = await complete(it)
        updates = it.sim.happen(page, conversations=2, webhook=False)
        new = it.sim.truth.messages[updates[0].mid].conversation.person.id
        await it.value("delete from conversations where participant_id = $1", new)
        assert (await verify(it, page)).counts.missing == 0
        it.sim.clock.skew += 120
        assert (await verify(it, page)).counts.missing == 2


async def test_what_is_only_here_is_told_of_and_is_no_fault(desk, settled):
    async with desk(settled) as it:
        page = await complete(it)
        hidden, short, *_ = it.sim.truth.page(page).inboxes["messenger", "inbox"].rows
        it.sim.truth.page(page).inboxes["messenger", "inbox"].rows.remove(hidden)
        taken_back = short.messages[-3]
        it.sim.truth.unsend(taken_back, it.sim.clock.now_ms())
        run = await verify(it, page, deep=True)
        assert await coverage.unlisted(it.database, run.id) == sorted(
            [(page, hidden.person.id, ""), (page, short.person.id, taken_back.mid)]
        )
        assert (run.status, run.counts.missing) == ("complete", 0)
        assert (await pages.find(it.database, page)).proven_level == "deep"
        assert await it.value("select count(*) from sync_listed") == 0


async def test_nothing_is_only_here_where_everything_is_listed(desk, settled):
    async with desk(settled) as it:
        page = await complete(it)
        it.sim.happen(page, conversations=3, webhook=False)
        await it.sync(page)
        run = await verify(it, page)
        assert await coverage.unlisted(it.database, run.id) == []


async def test_a_folder_that_cannot_be_read_makes_nothing_look_as_if_it_were_only_here(desk):
    async with desk(Config(conversations=4, messages=2, other_folders=2)) as it:
        page = await complete(it)
        await it.value(
            "update sync_points set set_aside = 'closed', set_aside_at = now()"
            " where folder = 'spam'"
        )
        run = await verify(it, page)
        assert run.status == "complete"
        assert await coverage.unlisted(it.database, run.id) == []
