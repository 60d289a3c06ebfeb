"""What a sync has before it is known of what is stored, and of nothing else."""

import asyncio
from datetime import UTC, datetime

import pytest

from deploy.simulator.config import Config
from deploy.simulator.faults import Fault
from shared.facebook.graph.limits import Priority
from shared.store import runs
from shared.store.progress import Expected, progress


async def expected(it, *asked: runs.Run) -> list[int | None]:
    totals = await Expected(it.database).of(asked)
    return [totals.get(run.id) for run in asked]


async def test_the_first_walk_of_a_page_has_no_known_end_and_the_next_whole_one_has(desk):
    async with desk(Config(conversations=7, other_folders=1)) as it:
        page = it.only_page()
        first = await it.request(page, "full")
        assert await expected(it, first) == [None]
        await it.finish(first)
        whole, proof = await it.request(page, "full"), await it.request(page, "verify")
        assert await expected(it, whole, proof) == [11, 11]


async def test_an_incremental_walk_ends_where_it_ends(desk):
    async with desk(Config(conversations=3)) as it:
        await it.sync(it.only_page())
        assert await expected(it, await it.request(it.only_page())) == [None]


@pytest.mark.parametrize("mode", ["history", "labels", "profiles"])
async def test_what_is_done_for_single_conversations_knows_how_many_there_are(desk, mode):
    simulated = Config(conversations=9, messages=60)
    # A limit, however high, lets a Page have one call a request.
    async with desk(simulated, sync_messages="5", graph_page_calls_per_second="1000") as it:
        page = it.only_page()
        for person in it.sim.truth.people.values():
            person.name = None
        await it.sync(page)
        path = "messages$|custom_labels$|^/[0-9]+$"
        slow = it.sim.faults.add(Fault(kind="slow", path=path, skip=3))
        run = await it.request(page, mode, priority=Priority.HISTORY)
        finishing = asyncio.create_task(it.finish(run))
        await it.sim.faults.holding(slow)
        told = await begun(it, run)
        found = progress(
            [told],
            await Expected(it.database).of([told]),
            since=told.started_at,
            now=datetime.now(UTC),
        )
        assert 0 < found.done < found.total == 9
        assert found.left is not None
        it.sim.faults.remove(slow)
        assert (await finishing).counts.total == 9


async def begun(it, run: runs.Run) -> runs.Run:
    """Return a run once it has gone through something."""
    async with asyncio.timeout(10):
        while not (told := await runs.find(it.database, run.id)).counts.total:
            await asyncio.sleep(0.01)
    return told


async def test_counting_takes_a_small_part_of_the_time_of_whoever_looks_on(desk, monkeypatch):
    async with desk(Config(conversations=3, messages=60)) as it:
        await it.sync(it.only_page())
        run = await it.request(it.only_page(), "history")
        monkeypatch.setattr(Expected, "SHARE", 1e-9)
        counting = Expected(it.database)
        assert await counting.of([run]) == {run.id: 3}
        await it.value("update conversations set history_complete = true")
        assert await counting.of([run]) == {run.id: 3}
        monkeypatch.setattr(Expected, "SHARE", 1e9)
        assert await Expected(it.database).of([run]) == {run.id: 0}
