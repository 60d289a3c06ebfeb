"""Whatever stops a walk, it goes on from where it was."""

import asyncio
import contextlib
import itertools
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from deploy.simulator.config import Config, Modes
from deploy.simulator.faults import Fault
from shared.store import pages, runs
from tests.integration.sync.desk import newest
from tests.integration.sync.interruptions import (
    SLICES,
    cut_off_after,
    fetched,
    interrupted_walk,
    killed_after,
)
from worker.outcome import Done, Snooze
from worker.sync import hold, step


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch):
    monkeypatch.setattr(hold, "_backoff", lambda tries: timedelta(milliseconds=50))


async def test_a_step_that_is_cut_off_is_gone_on_with_from_its_place(desk):
    async with desk(Config(conversations=100, messages=4), sync_slice="10") as it:
        run = await it.request(it.only_page())
        await cut_off_after(it, run, 8)
        assert await it.value("select count(*) from conversations") >= 20
        assert await it.value("select count(*) from sync_points where folder = 'inbox'") == 0
        done = await it.finish(run)
        assert done.status == "complete"
        assert await it.stored_mids() == it.true_mids()
        assert fetched(it) <= 100 + 2 * 10


async def test_a_step_gives_its_lease_back_when_it_is_cut_off(desk):
    async with desk(Config(conversations=50, messages=4), sync_slice="10") as it:
        run = await it.request(it.only_page())
        await cut_off_after(it, run, 3)
        assert await it.value("select lease_id from sync_runs where id = $1", run.id) is None


async def test_a_run_whose_holder_died_waits_for_its_lease_to_end(desk):
    async with desk(Config(conversations=5)) as it:
        run = await it.request(it.only_page())
        lease = uuid4()
        assert len(await runs.take(it.database, run.id, lease, 50)) == 1
        assert await it.step(run) == Done()
        await it.value("update sync_runs set lease_until = now() - interval '1 second'")
        assert (await it.finish(run)).status == "complete"


async def test_who_lost_the_lease_keeps_nothing_and_moves_nothing(desk):
    async with desk(Config(conversations=40, messages=3), sync_slice="10") as it:
        run = await it.request(it.only_page())
        slow = it.sim.faults.add(Fault(kind="slow", path="^/$|conversations$", skip=2, count=1))
        stepping = asyncio.create_task(it.step(run))
        await it.sim.faults.holding(slow)
        thief = uuid4()
        await it.value("update sync_runs set lease_id = $1", thief)
        it.sim.faults.remove(slow)
        await stepping
        row = (await it.fetch("select status, lease_id from sync_runs where id = $1", run.id))[0]
        assert (row["status"], row["lease_id"]) == ("running", thief)
        assert await it.value("select count(*) from sync_points where folder = 'inbox'") == 0


async def test_a_walk_interrupted_twenty_times_at_random_is_complete(desk):
    """kill -9 of a real process, 500, 613, a dead token and then a new one, dead cursors."""
    async with desk(Config(conversations=300, messages=6), sync_slice="10") as it:
        walked = await interrupted_walk(it, times=20, slice_=10)
        assert (walked.run.status, walked.interrupted) == ("complete", 20)
        assert await it.stored_mids() == it.true_mids()
        assert walked.fetched <= walked.most


async def test_an_expired_cursor_restarts_the_walk_and_forgets_nothing(desk):
    async with desk(Config(conversations=60, messages=3), sync_slice="10") as it:
        page = it.only_page()
        run = await it.request(page)
        await cut_off_after(it, run, 8)
        before = await it.value("select count(*) from conversations")
        started = await it.value("select cursor->'listings'->0->>'started_ms' from sync_runs")
        it.sim.expire_cursors()
        it.sim.clock.skew += 100
        done = await it.finish(run)
        assert done.status == "complete"
        assert before > 0
        assert await it.stored_mids() == it.true_mids()
        point = await it.value("select synced_to from sync_points where folder = 'inbox'")
        assert point.timestamp() * 1000 == int(started)


async def test_cursors_that_die_faster_than_they_can_be_read_end_the_run_with_a_reason(desk):
    simulated = Config(conversations=30, messages=1, modes=Modes(cursor_life=0.001))
    async with desk(simulated, sync_slice="10") as it:
        run = await it.sync(it.only_page())
        assert run.status == "failed"
        assert "cursor" in run.error
        assert await it.value("select count(*) from sync_points where folder = 'inbox'") == 0


async def test_a_circle_of_cursors_is_no_end(desk, monkeypatch):
    async with desk(Config(conversations=30, messages=1), sync_slice="10") as it:
        page = it.only_page()
        walk_to = it.sim.truth.page(page).inboxes["messenger", "inbox"]
        stuck = walk_to.rows[15]
        from deploy.simulator import paging

        real = paging.conversations

        def circling(inbox, cursors, limit, window, after, before):
            found = real(inbox, cursors, limit, window, after, before)
            if inbox is walk_to and found.older:
                found.after = cursors.write(f"{stuck.updated_ms}.{stuck.thread}")
            return found

        monkeypatch.setattr(paging, "conversations", circling)
        run = await it.sync(page)
        assert run.status == "failed"
        assert "been already" in run.error
        assert await it.value("select count(*) from sync_points where folder = 'inbox'") == 0


async def test_a_dead_token_parks_the_page_and_a_new_one_goes_on(desk):
    async with desk(Config(conversations=60, messages=3), sync_slice="10") as it:
        page = it.only_page()
        run = await it.request(page)
        await cut_off_after(it, run, 3)
        it.sim.tokens.kill(it.sim.truth.page(page), 460)
        it.sim.calls.clear()
        assert await it.step(run) == Done()
        assert it.sim.calls.requests() <= 2
        stopped = await runs.find(it.database, run.id)
        assert (stopped.status, stopped.error_code) == ("interrupted", "190/460")
        assert stopped.resume_at is None
        assert "password" in stopped.error
        found = await pages.find(it.database, page)
        assert (found.status, found.status_reason) == ("parked", stopped.error)
        assert found.last_synced_at is None
        it.sim.tokens.issue(it.sim.truth.page(page), 0)
        await it.renew_token(page)
        joined = await it.request(page)
        assert joined.id == run.id
        assert (await it.finish(run)).status == "complete"
        assert await it.stored_mids() == it.true_mids()


async def test_a_token_that_a_person_replaced_meanwhile_does_not_park_the_page(desk):
    async with desk(Config(conversations=5)) as it:
        page = it.only_page()
        run = await it.request(page)
        (taken,) = await runs.take(it.database, run.id, uuid4(), 1)
        await it.renew_token(page)
        assert not await runs.park(it.database, taken, "dead")
        assert (await pages.find(it.database, page)).status == "active"


async def test_a_limit_sets_the_page_to_rest_until_the_time_facebook_names(desk):
    async with desk(Config(conversations=60, messages=2), sync_slice="10") as it:
        page = it.only_page()
        spent = {"call_count": 100, "estimated_time_to_regain_access": 19}
        headers = {"X-Business-Use-Case-Usage": json.dumps({page: [spent]})}
        it.sim.faults.add(
            Fault(kind="error", error="80006", path=SLICES, skip=2, count=1, headers=headers)
        )
        run = await it.request(page)
        assert await it.step(run) == Done()
        rests = await runs.find(it.database, run.id)
        assert (rests.status, rests.error_code) == ("interrupted", "80006")
        wait = rests.resume_at - datetime.now(UTC)
        assert 18 < wait.total_seconds() / 60 <= 19
        it.sim.calls.clear()
        assert await it.step(run) == Done()
        assert it.sim.calls.requests() == 0


async def test_an_answer_that_is_too_large_is_asked_for_in_pieces_that_grow_again(desk):
    simulated = Config(conversations=120, messages=10, modes=Modes(max_cost=150))
    async with desk(simulated, sync_slice="40", sync_messages="5") as it:
        run = await it.sync(it.only_page())
        assert run.status == "complete"
        limits = [int(call.parameters["limit"]) for call in it.sim.calls.list(SLICES)]
        assert max(limits) == 40
        assert any(limit <= 20 for limit in limits)
        assert any(later > sooner for sooner, later in itertools.pairwise(limits))
        assert await it.stored_mids() == it.true_mids(newest(5))


async def test_nested_messages_shrink_when_one_conversation_is_too_much(desk):
    simulated = Config(conversations=3, messages=10, modes=Modes(max_cost=6))
    async with desk(simulated, sync_messages="8") as it:
        run = await it.sync(it.only_page())
        assert run.status == "complete"
        await it.history(it.only_page())
        assert await it.stored_mids() == it.true_mids()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="error", error="1", path=SLICES, skip=1, count=2),
        Fault(kind="error", error="2", path=SLICES, skip=1, count=2),
        Fault(kind="html503", path="^/$|conversations$", skip=1, count=2),
        Fault(kind="unavailable200", path="^/$|conversations$", skip=1, count=1),
        Fault(kind="reset", path="^/$|conversations$", skip=1, count=1),
        Fault(kind="null", path=SLICES, count=3),
        Fault(kind="short", path=SLICES, count=4),
    ],
    ids=lambda fault: f"{fault.kind} {fault.error or ''}",
)
async def test_passing_trouble_passes(desk, fault):
    async with desk(Config(conversations=40, messages=3), sync_slice="10") as it:
        it.sim.faults.add(fault)
        run = await it.sync(it.only_page())
        assert run.status == "complete"
        assert await it.stored_mids() == it.true_mids()


async def test_trouble_that_does_not_pass_is_told_and_claims_nothing(desk, monkeypatch):
    waits = iter([0, 0, 20])
    monkeypatch.setattr(hold, "_backoff", lambda _: timedelta(seconds=next(waits)))
    async with desk(Config(conversations=5)) as it:
        it.sim.faults.add(Fault(kind="error", error="1", path=SLICES))
        run = await it.sync(it.only_page())
        assert (run.status, run.error_code) == ("interrupted", "1")
        assert run.resume_at is not None
        assert await it.value("select last_synced_at from facebook_pages") is None


async def test_a_refusal_that_stays_fails_the_run_after_a_second_try(desk):
    async with desk(Config(conversations=5)) as it:
        it.sim.faults.add(Fault(kind="error", error="104", path=SLICES))
        run = await it.sync(it.only_page())
        assert (run.status, run.error_code) == ("failed", "104")
        assert "secret" in run.error


async def test_an_answer_that_takes_too_long_is_asked_for_in_pieces(desk, monkeypatch):
    from worker.sync import asking

    monkeypatch.setattr(asking, "PATIENCE", 1)
    async with desk(Config(conversations=20, messages=2), sync_slice="20") as it:
        it.sim.faults.add(Fault(kind="slow", path="^/$|conversations$", count=1))
        run = await it.sync(it.only_page())
        assert run.status == "complete"
        assert await it.stored_mids() == it.true_mids()


async def test_a_step_ends_in_time_and_says_that_it_goes_on(desk, monkeypatch):
    monkeypatch.setattr(step, "STEP", 0.0)
    async with desk(Config(conversations=30, messages=1), sync_slice="10") as it:
        run = await it.request(it.only_page())
        assert isinstance(await it.step(run), Snooze)
        told = await runs.find(it.database, run.id)
        assert (told.status, told.error) == ("running", None)


async def test_inner_reading_is_resumed_where_it_was(desk):
    async with desk(Config(conversations=3, messages=3)) as it:
        page = it.only_page()
        await it.sync(page)
        it.sim.happen(page, conversations=1, count=1000, webhook=False)
        run = await it.request(page)
        it.sim.calls.clear()
        stepping = asyncio.create_task(it.step(run))
        while len(it.sim.calls.list("/messages$")) < 5:
            await asyncio.sleep(0.002)
        stepping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stepping
        done = await it.finish(run)
        assert done.status == "complete"
        assert await it.stored_mids() == it.true_mids()
        assert len(it.sim.calls.list("/messages$")) <= 10 + 2


async def test_history_is_resumed_per_conversation(desk):
    async with desk(Config(conversations=4, messages=700)) as it:
        page = it.only_page()
        await it.sync(page)
        run = await it.request(page, "history")
        it.sim.calls.clear()
        stepping = asyncio.create_task(it.step(run))
        while len(it.sim.calls.list("/messages$")) < 12:
            await asyncio.sleep(0.002)
        stepping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stepping
        done = await it.finish(run)
        assert done.status == "complete"
        assert await it.stored_mids() == it.true_mids()
        assert len(it.sim.calls.list("/messages$")) <= 4 * 7 + 2 * 4


async def test_what_a_holder_committed_before_it_died_is_told_of_by_the_next(desk):
    async with desk(Config(conversations=12, messages=1), sync_slice="5") as it:
        run = await it.request(it.only_page())
        told: list[set[tuple[str, str]]] = []

        async def dies(*_: object, **__: object) -> None:
            raise SystemError("killed between COMMIT and the news")

        effects = it.tools.storing._effects
        follow, effects.follow = effects.follow, dies
        with pytest.raises(SystemError):
            await it.step(run)
        committed = await it.value("select count(*) from conversations")
        assert committed > 0
        # Nobody gave the lease back, and it has ended.
        await it.value(
            "update sync_runs set lease_id = $1, lease_until = now() - interval '1 s'"
            " where id = $2",
            uuid4(),
            run.id,
        )

        async def telling(applied, *, again):
            told.append(set(applied.changes) | (applied.mentioned if again else set()))
            await follow(applied, again=again)

        effects.follow = telling
        assert (await it.finish(run)).status == "complete"
        assert len(told[0]) == committed


async def test_kill_9_in_the_middle_of_a_walk_and_of_its_history_loses_nothing(desk):
    async with desk(Config(conversations=60, messages=60), sync_slice="6") as it:
        # Slow enough to be killed in the middle, wherever that is.
        it.sim.modes.latency = 0.05
        for mode, path in (("full", SLICES), ("history", "/messages$")):
            run = await it.request(it.only_page(), mode)
            for _ in range(2):
                await killed_after(it, run, len(it.sim.calls.list(path)) + 7, path)
                assert (await runs.find(it.database, run.id)).status == "running"
            assert (await it.finish(run)).status == "complete"
        assert await it.stored_mids() == it.true_mids()


@pytest.mark.parametrize("error", ["2500", "100"])
async def test_one_conversation_that_cannot_be_read_does_not_stop_the_others(desk, error):
    async with desk(Config(conversations=6, messages=40)) as it:
        page = it.only_page()
        await it.sync(page)
        await it.history(page)
        it.sim.happen(page, conversations=3, count=40, webhook=False)
        hurt = it.sim.truth.page(page).inboxes["messenger", "inbox"].rows[-1]
        trouble = it.sim.faults.add(
            Fault(kind="error", error=error, path=f"/{hurt.thread}/messages$")
        )
        run = await it.sync(page)
        assert run.status == "complete"
        missing = it.true_mids().keys() - (await it.stored_mids()).keys()
        assert missing
        assert {it.sim.truth.messages[mid].conversation for mid in missing} == {hurt}
        # The gap is not forgotten: it is history's now, which leaves the rest alone as well.
        still_open = "select participant_id from conversations where not history_complete"
        assert [row[0] for row in await it.fetch(still_open)] == [hurt.person.id]
        assert (await it.history(page)).status == "complete"
        assert [row[0] for row in await it.fetch(still_open)] == [hurt.person.id]
        it.sim.faults.remove(trouble)
        assert (await it.history(page)).status == "complete"
        assert await it.fetch(still_open) == []
        assert await it.stored_mids() == it.true_mids()
