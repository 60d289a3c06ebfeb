"""Many Pages in one request."""

import asyncio
import time
from datetime import timedelta
from itertools import pairwise

import pytest

from deploy.simulator.config import Config, Modes
from deploy.simulator.faults import Fault
from shared.facebook.graph.limits import Priority
from shared.store import runs
from tests.integration.sync.desk import Desk
from worker.sync import hold

SLICES = "/conversations$"


async def sync_all(it: Desk, *, full: bool = False):
    batch = await runs.request_all(it.database, full=full, priority=Priority.PEOPLE)
    await it.finish(batch)
    return await runs.find(it.database, batch.id), await runs.members(it.database, batch.id)


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch):
    monkeypatch.setattr(hold, "_backoff", lambda tries: timedelta(seconds=30 * (tries > 2)))


async def test_a_round_is_one_request_and_every_page_becomes_complete(desk):
    async with desk(Config(pages=12, conversations=20, messages=3), sync_slice="5") as it:
        batch, members = await sync_all(it)
        assert (batch.status, batch.page_id) == ("complete", None)
        assert [name for name, _ in members] == sorted(
            page.name for page in it.sim.truth.pages.values()
        )
        assert [run.status for _, run in members] == ["complete"] * 12
        assert await it.stored_mids() == it.true_mids()
        slices = max(len(it.sim.calls.list(SLICES, page=page)) for page in it.sim.truth.pages)
        rounds = len({call.request for call in it.sim.calls.list()})
        assert it.sim.calls.requests() == rounds <= slices + 2


async def test_each_page_speaks_with_its_own_token_and_proof(desk):
    simulated = Config(pages=3, conversations=2, messages=1, modes=Modes(proof="required"))
    async with desk(simulated) as it:
        _, members = await sync_all(it)
        assert all(run.status == "complete" for _, run in members)
        assert {call.page for call in it.sim.calls.list(SLICES)} == set(it.sim.truth.pages)


async def test_one_pages_trouble_is_its_own(desk):
    async with desk(Config(pages=10, conversations=6, messages=2), sync_slice="3") as it:
        dead, limited, broken, *well = list(it.sim.truth.pages)
        it.sim.tokens.kill(it.sim.truth.page(dead), 463)
        it.sim.faults.add(Fault(kind="error", error="80006", page=limited))
        it.sim.faults.add(Fault(kind="error", error="1", page=broken))
        batch, members = await sync_all(it)
        assert batch.status == "complete"
        ended = {run.page_id: run for _, run in members}
        assert {ended[page].status for page in well} == {"complete"}
        assert (ended[dead].status, ended[dead].error_code) == ("interrupted", "190/463")
        assert (ended[limited].status, ended[limited].error_code) == ("interrupted", "80006")
        assert (ended[broken].status, ended[broken].error_code) == ("interrupted", "1")
        assert all(ended[page].error for page in (dead, limited, broken))
        points = await it.fetch("select page_id from sync_points where folder = 'inbox'")
        assert {row["page_id"] for row in points} == set(well)
        stored = await it.value("select count(*) from messages where page_id = any($1)", well)
        assert stored == 7 * 6 * 2


async def test_parked_pages_are_listed_with_their_reason(desk):
    async with desk(Config(pages=2, conversations=2)) as it:
        parked, well = list(it.sim.truth.pages)
        it.sim.tokens.kill(it.sim.truth.page(parked), 460)
        await it.sync(parked)
        _, members = await sync_all(it)
        ended = {run.page_id: run for _, run in members}
        assert ended[well].status == "complete"
        assert ended[parked].status == "interrupted"
        assert "password" in ended[parked].error


async def test_what_a_batch_left_out_is_asked_again(desk):
    async with desk(Config(pages=5, conversations=8, messages=2), sync_slice="4") as it:
        left_out, *_ = it.sim.truth.pages
        it.sim.faults.add(Fault(kind="null", page=left_out, path=SLICES, count=2))
        _, members = await sync_all(it)
        assert all(run.status == "complete" for _, run in members)
        assert await it.stored_mids() == it.true_mids()


async def test_a_batch_that_is_refused_as_a_whole_parks_nobody(desk):
    async with desk(Config(pages=3, conversations=2)) as it:
        it.sim.tokens.grants[it.sim.tokens.app].dead = 0
        batch = await runs.request_all(it.database, full=False, priority=Priority.PEOPLE)
        await it.step(batch)
        assert await it.value("select count(*) from facebook_pages where is_active") == 3
        it.sim.tokens.grants[it.sim.tokens.app].dead = None
        await it.finish(batch)
        assert await it.value("select count(*) from sync_runs where status = 'complete'") == 4


async def test_a_batch_asks_for_at_most_twenty_thousand_messages(desk):
    async with desk(Config(pages=50, conversations=3, messages=2)) as it:
        batch = await runs.request_all(it.database, full=False, priority=Priority.PEOPLE)
        await it.finish(batch)
        by_request: dict[int, int] = {}
        for call in it.sim.calls.list(SLICES):
            slots = int(call.parameters["limit"]) * 25
            by_request[call.request] = by_request.get(call.request, 0) + slots
        assert max(by_request.values()) <= 20_000
        assert await it.stored_mids() == it.true_mids()


async def test_more_than_fifty_pages_go_in_groups(desk):
    async with desk(Config(pages=55, conversations=1, messages=1)) as it:
        batch, members = await sync_all(it)
        assert (batch.status, len(members)) == ("complete", 55)
        assert all(run.status == "complete" for _, run in members)
        items: dict[int, int] = {}
        for call in it.sim.calls.list():
            if call.item is not None:
                items[call.request] = items.get(call.request, 0) + 1
        assert max(items.values()) <= 50


async def test_a_page_that_is_being_synced_already_is_joined_by_the_batch(desk):
    async with desk(Config(pages=2, conversations=2)) as it:
        page, _ = it.sim.truth.pages
        own = await it.request(page)
        batch = await runs.request_all(it.database, full=False, priority=Priority.CRON)
        members = await runs.members(it.database, batch.id)
        assert own.id in {run.id for _, run in members}
        await it.finish(batch)
        assert (await runs.find(it.database, own.id)).status == "complete"


async def test_two_calls_a_second_are_kept_to_and_nobody_is_told_613(desk):
    simulated = Config(pages=3, conversations=12, messages=1, modes=Modes(page_calls_per_second=2))
    async with desk(simulated, sync_slice="3", graph_page_calls_per_second="2") as it:
        _, members = await sync_all(it)
        assert all(run.status == "complete" for _, run in members)
        assert it.sim.calls.list(code=613) == []


async def test_usage_above_seventy_percent_slows_down_before_facebook_says_no(desk):
    simulated = Config(conversations=40, messages=1, modes=Modes(messenger_budget=20))
    async with desk(simulated, sync_slice="2") as it:
        page = it.only_page()
        run = await it.request(page, priority=Priority.CRON)
        ending = await it.step(run)
        assert ending.until.timestamp() - time.time() > 1
        waits = await runs.find(it.database, run.id)
        assert (waits.status, waits.error_code) == ("running", "budget")
        assert it.sim.calls.list(code=80006) == []
        assert 14 <= len(it.sim.calls.list(page=page)) < 20


async def test_an_app_over_its_limit_stops_every_page_at_once(desk):
    async with desk(Config(pages=3, conversations=2)) as it:
        first, *_ = it.sim.truth.pages
        it.sim.faults.add(Fault(kind="error", error="4", page=first, count=1))
        await it.sync(first)
        it.sim.calls.clear()
        _, members = await sync_all(it)
        assert it.sim.calls.requests() == 0
        assert all(run.status == "interrupted" for _, run in members)


async def test_ten_changed_conversations_take_at_most_two_calls(desk):
    async with desk(Config(conversations=500, messages=1)) as it:
        page = it.only_page()
        await it.sync(page)
        it.sim.happen(page, conversations=10, webhook=False)
        it.sim.calls.clear()
        run = await it.sync(page)
        assert run.counts.updated == 10
        assert it.sim.calls.requests() <= 2


async def test_the_next_slice_is_asked_for_while_one_is_written(desk):
    async with desk(Config(conversations=30, messages=2), sync_slice="10") as it:
        write = it.tools.storing.write

        async def patiently(*what):
            async with asyncio.timeout(10):
                # Five listings are asked for at first; a sixth question is the next round's.
                while len(it.sim.calls.list(SLICES)) <= 5:
                    await asyncio.sleep(0.005)
            return await write(*what)

        it.tools.storing.write = patiently
        assert (await it.sync(it.only_page())).status == "complete"


async def test_live_events_have_their_turn_between_any_two_transactions(desk):
    async with desk(Config(pages=5, conversations=20, messages=10)) as it:
        turns, seen = 0, [0]
        write = it.tools.storing.write

        async def counting(*what):
            seen.append(turns)
            return await write(*what)

        async def live() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        it.tools.storing.write = counting
        living = asyncio.create_task(live())
        await sync_all(it)
        living.cancel()
        assert len(seen) > 20
        assert all(later > sooner for sooner, later in pairwise(seen))
