"""A walk that is interrupted again and again: kill -9, errors, limits, tokens, dead cursors."""

import asyncio
import contextlib
import os
import random
import sys

from msgspec import Struct

from deploy.simulator.faults import Fault
from shared.store import runs
from shared.store.runs import Run
from tests.integration.sync.desk import Desk

SLICES = "/conversations$"


class Outcome(Struct, frozen=True, kw_only=True):
    """How a walk ended that was `interrupted` so often, and how many rows were `fetched` for it.

    `most` would be fair: every conversation once, a slice for each interruption, and all of them
    again for each cursor that died.
    """

    run: Run
    interrupted: int
    fetched: int
    most: int


async def interrupted_walk(it: Desk, *, times: int, slice_: int) -> Outcome:
    """Walk a Page, interrupted so often; the desk's slices are `slice_` conversations."""
    page, dice = it.only_page(), random.Random(7)
    ways = [_killed, _refused("1"), _refused("613"), _refused("190/460"), _cursors_died]
    run = await it.request(page)
    dead_cursors = interrupted = 0
    for number in range(times):
        way = ways[number % len(ways)]
        dead_cursors += way is _cursors_died
        await way(it, run, dice)
        interrupted += (await runs.find(it.database, run.id)).status != "complete"
        await _let_it_go_on(it, page)
    conversations = len(it.sim.truth.page(page).inboxes["messenger", "inbox"].rows)
    return Outcome(
        run=await it.finish(run),
        interrupted=interrupted,
        fetched=fetched(it),
        most=conversations * (1 + dead_cursors) + times * slice_,
    )


def fetched(it: Desk) -> int:
    """How many conversations Graph handed out for the inbox."""
    return sum(
        int(call.parameters["limit"])
        for call in it.sim.calls.list(SLICES)
        if call.http == 200 and call.parameters.get("folder", "inbox") == "inbox"
    )


async def cut_off_after(it: Desk, run: Run, calls: int) -> None:
    """Take a step and cut it off once so many slices were asked for."""
    stepping = asyncio.create_task(it.step(run))
    async with asyncio.timeout(10):
        while len(it.sim.calls.list(SLICES)) < calls and not stepping.done():
            await asyncio.sleep(0.002)
    stepping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await stepping


async def killed_after(it: Desk, run: Run, calls: int, path: str = SLICES) -> None:
    """Have a process of its own take steps, and kill -9 it once so many calls were made."""
    stepper = await stepping(it, run)
    async with asyncio.timeout(30):
        while len(it.sim.calls.list(path)) < calls and stepper.returncode is None:
            await asyncio.sleep(0.002)
    if stepper.returncode is None:
        stepper.kill()
    await stepper.wait()
    # Nobody gave the lease back; it would end by itself.
    await it.value("update sync_runs set lease_until = now() where lease_id is not null")


async def stepping(it: Desk, run: Run) -> asyncio.subprocess.Process:
    """Start a process that takes a run's steps until it is done."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.sync.stepper", str(run.id)),
        env=os.environ | it.environ,
    )


async def _killed(it: Desk, run: Run, dice: random.Random) -> None:
    await killed_after(it, run, len(it.sim.calls.list(SLICES)) + dice.randint(1, 3))


async def _cursors_died(it: Desk, run: Run, _: random.Random) -> None:
    it.sim.expire_cursors()
    await cut_off_after(it, run, len(it.sim.calls.list(SLICES)) + 2)


def _refused(error: str):
    async def refused(it: Desk, run: Run, dice: random.Random) -> None:
        skip = dice.randint(0, 2)
        it.sim.faults.add(Fault(kind="error", error=error, path=SLICES, skip=skip, count=1))
        await it.step(run)
        it.sim.faults.clear()

    return refused


async def _let_it_go_on(it: Desk, page: str) -> None:
    """Wait out no limit and no pause between tries; give a Page whose token died a new one."""
    await it.value("update sync_runs set resume_at = null where resume_at is not null")
    await it.tools.graph._budget._take.registered_client.flushall()
    if await it.value("select status from facebook_pages") == "parked":
        await it.renew_token(page)
