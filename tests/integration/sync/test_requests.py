"""What is asked for joins what is asked for already; what goes together shares its requests."""

import asyncio
from uuid import uuid4

from deploy.simulator.config import Config
from shared.facebook.graph.limits import Priority
from shared.store import runs
from tests.integration.sync.desk import Desk
from worker.outcome import Done


async def test_a_verification_that_has_not_begun_does_all_that_was_asked_of_it(desk):
    async with desk(Config(conversations=1)) as it:
        page = it.only_page()
        first = await it.request(page, "verify", options={"deep": True, "repair": False})
        weaker = await it.request(page, "verify", options={})
        stronger = await it.request(page, "verify", options={"deep": False, "repair": True})
        assert first.id == weaker.id == stronger.id
        assert weaker.options == {"deep": True, "repair": False}
        assert stronger.options == {"deep": True, "repair": True}


async def test_a_verification_that_has_begun_is_followed_by_another(desk):
    async with desk(Config(conversations=1)) as it:
        page = it.only_page()
        begun = await it.request(page, "verify", options={"deep": True})
        await runs.take(it.database, begun.id, uuid4(), 1)
        later = await it.request(page, "verify", options={"deep": True, "repair": True})
        assert later.id != begun.id
        assert (await runs.find(it.database, begun.id)).options == {"deep": True}


async def test_a_walk_that_has_not_begun_becomes_a_whole_one(desk):
    async with desk(Config(conversations=1)) as it:
        page = it.only_page()
        await it.sync(page)
        waiting = await it.request(page)
        assert waiting.mode == "incremental"
        whole = await it.request(page, "full")
        assert (whole.id, whole.mode) == (waiting.id, "full")


async def asked_of_every_page(it: Desk, mode: runs.Mode) -> list[runs.Run]:
    return [await it.request(page, mode, priority=Priority.HISTORY) for page in it.sim.truth.pages]


async def test_histories_of_many_pages_share_their_requests(desk):
    async with desk(Config(pages=12, conversations=3, messages=60)) as it:
        for page in it.sim.truth.pages:
            await it.sync(page)
        await it.value("delete from sync_runs where mode <> 'full'")
        first, *_ = asked = await asked_of_every_page(it, "history")
        it.sim.calls.clear()
        await it.finish(first)
        ended = [(await runs.find(it.database, run.id)).status for run in asked]
        assert ended == ["complete"] * 12
        assert await it.stored_mids() == it.true_mids()
        assert len(it.sim.calls.list("/messages$")) == 12 * 3
        assert it.sim.calls.requests() <= 2


async def test_labels_of_many_pages_share_their_requests_though_each_has_two_calls_a_second(desk):
    simulated = Config(pages=20, conversations=2, messages=1)
    async with desk(simulated, graph_page_calls_per_second="2") as it:
        batch = await runs.request_all(it.database, full=True, priority=Priority.PEOPLE)
        await it.finish(batch)
        await it.value("delete from sync_runs where mode = 'labels'")
        first, *_ = await asked_of_every_page(it, "labels")
        it.sim.calls.clear()
        await it.finish(first)
        assert len(it.sim.calls.list("custom_labels$")) == 20 * 2
        assert it.sim.calls.requests() <= 4


async def test_what_is_taken_along_is_taken_by_one_step_alone(desk):
    async with desk(Config(pages=6, conversations=2, messages=30)) as it:
        for page in it.sim.truth.pages:
            await it.sync(page)
        await it.value("delete from sync_runs where mode <> 'full'")
        asked = await asked_of_every_page(it, "history")
        it.sim.calls.clear()
        await asyncio.gather(*(it.finish(run) for run in asked))
        assert len(it.sim.calls.list("/messages$")) == 6 * 2
        assert await it.stored_mids() == it.true_mids()


async def test_a_walk_somebody_asked_for_takes_no_other_along(desk):
    async with desk(Config(pages=2, conversations=2)) as it:
        one, other = [await it.request(page) for page in it.sim.truth.pages]
        await it.finish(one)
        assert (await runs.find(it.database, other.id)).status == "queued"


async def test_runs_that_go_together_are_woken_as_one(desk):
    async with desk(Config(pages=5, conversations=1)) as it:
        asked = await asked_of_every_page(it, "history")
        (waking,) = await runs.wake(it.database, 100)
        assert (waking.priority, waking.runs) == (Priority.HISTORY, 5)
        assert waking.id in {run.id for run in asked}


async def test_a_run_that_ended_brings_its_company_to_an_end(desk):
    """The job of a run that is over still carries on what goes together with it."""
    async with desk(Config(pages=2, conversations=1)) as it:
        one, other = await asked_of_every_page(it, "history")
        await it.value("update sync_runs set status = 'complete' where id = $1", one.id)
        assert await it.step(one) == Done()
        assert (await runs.find(it.database, other.id)).status == "complete"
