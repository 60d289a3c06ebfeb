"""A person who is erased while a sync reads about them is in no place of any sync."""

from deploy.simulator.config import Config
from shared.store import coverage, erasing, runs
from tests.integration.privacy.world import holding


async def test_a_step_under_way_does_not_write_an_erased_person_back(desk):
    async with desk(Config(conversations=3, messages=3)) as it:
        page = it.only_page()
        await it.sync(page)
        it.sim.happen(page, conversations=2, count=400, webhook=False)
        person = it.sim.truth.page(page).inboxes["messenger", "inbox"].rows[-1].person.id
        run, places = await it.request(page), []
        writing = it.tools.storing.write

        async def write(*what):
            if len(places) == 2:
                await erasing.erase(it.database, page, person)
                assert await holding(it.database, person) == []
            applied = await writing(*what)
            places.append(await it.value("select cursor::text from sync_runs where id=$1", run.id))
            return applied

        it.tools.storing.write = write
        assert (await it.finish(run)).status == "complete"
        before, after = places[:2], places[2:]
        assert all(person in place for place in before)
        assert None in after
        assert not any(person in place for place in after if place)
        assert await holding(it.database, person) == []
        true = it.true_mids(lambda one: [] if one.person.id == person else one.messages)
        assert await it.stored_mids() == true


async def test_a_verification_under_way_names_no_erased_person(desk):
    async with desk(Config(conversations=3, messages=3)) as it:
        page = it.only_page()
        await it.sync(page)
        conversation = it.sim.truth.page(page).inboxes["messenger", "inbox"].rows[0]
        person = conversation.person.id
        await it.value("delete from messages where participant_id = $1", person)
        run = await it.request(page, "verify")
        writing = it.tools.storing.write

        async def after_the_erasure(*what):
            if not await erasing.erased_among(it.database, page, [person]):
                await erasing.erase(it.database, page, person)
            return await writing(*what)

        it.tools.storing.write = after_the_erasure
        assert (await it.finish(run)).status == "complete"
        assert await coverage.findings(it.database, run.id) == []
        assert await holding(it.database, person) == []


async def test_a_run_that_has_ended_keeps_no_place(desk):
    async with desk(Config(conversations=3, messages=40)) as it:
        page = it.only_page()
        for mode in ("full", "history", "verify"):
            run = await it.sync(page, mode)
            assert (await runs.find(it.database, run.id)).status == "complete"
        assert await it.value("select count(*) from sync_runs where cursor is not null") == 0
