"""Syncs against the simulated Facebook, beside what its latency and its budget allow at best."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from deploy.simulator.config import Config, Modes
from deploy.simulator.faults import Fault
from shared.facebook.graph.limits import Priority
from shared.store import runs
from tests.bench.figures import Figures
from tests.bench.servers import Servers
from tests.integration.sync.desk import Desk, opened

LATENCY = 0.5
"""Seconds every call takes."""

BUDGET = 2
"""Calls a second that Facebook allows for a Page."""


@asynccontextmanager
async def desk_of(servers: Servers, simulated: Config, **settings: str) -> AsyncIterator[Desk]:
    """A sync engine on tables of its own, its Pages added."""
    async with opened(await servers.migrated(), servers.redis, simulated, **settings) as desk:
        yield desk


async def one_page(servers: Servers) -> Figures:
    """A full sync, and one of the ten conversations that changed: nothing but latency bounds it."""
    config = Config(conversations=1000, messages=25, modes=Modes(latency=LATENCY))
    async with desk_of(servers, config) as desk:
        full = await desk.sync(desk.only_page())
        full_calls = desk.sim.calls.requests()
        desk.sim.happen(desk.only_page(), conversations=10, webhook=False)
        desk.sim.calls.clear()
        again = await desk.sync(desk.only_page())
        again_calls = len(desk.sim.calls.list())
        again_over = seconds(again) - desk.sim.calls.requests() * LATENCY
    return {
        **_beside(seconds(full), full_calls * LATENCY, full_calls),
        "incremental_updated": again.counts.updated,
        "incremental_calls": again_calls,
        "incremental_over_ms": 1000 * again_over,
    }


async def within_budget(servers: Servers) -> Figures:
    """The full sync again, where Facebook refuses a third call within a second."""
    modes = Modes(latency=LATENCY, page_calls_per_second=BUDGET)
    config = Config(conversations=1000, messages=25, modes=modes)
    async with desk_of(servers, config, graph_page_calls_per_second=str(BUDGET)) as desk:
        run = await desk.sync(desk.only_page())
        calls = len(desk.sim.calls.list(page=desk.only_page()))
        refused = len(desk.sim.calls.list(code=613))
    return {**_beside(seconds(run), calls / BUDGET, calls), "calls_refused": refused}


async def fifty_pages(servers: Servers) -> Figures:
    """A sync of all Pages, three of which cannot be synced."""
    config = Config(pages=50, conversations=200, messages=5, modes=Modes(latency=LATENCY))
    async with desk_of(servers, config) as desk:
        dead, limited, broken, *well = desk.sim.truth.pages
        desk.sim.tokens.kill(desk.sim.truth.page(dead), 463)
        desk.sim.faults.add(Fault(kind="error", error="80006", page=limited))
        desk.sim.faults.add(Fault(kind="error", error="104", page=broken))
        began = time.monotonic()
        batch = await runs.request_all(desk.database, full=True, priority=Priority.PEOPLE)
        await desk.finish(batch, within=300)
        took = time.monotonic() - began
        carried = [{call.request for call in desk.sim.calls.list(page=page)} for page in well]
        requests, rounds = len(set.union(*carried)), max(map(len, carried))
        ended = {run.page_id: run for _, run in await runs.members(desk.database, batch.id)}
        true = {
            message.mid: message.text
            for page in well
            for conversation in desk.sim.truth.page(page).conversations()
            for message in conversation.messages
        }
        stored = await desk.stored_mids()
    return {
        **_beside(took, rounds * LATENCY, requests),
        "rounds": rounds,
        "complete": sum(ended[page].status == "complete" for page in well),
        "incomplete_say_why": sum(
            ended[page].error_code is not None for page in (dead, limited, broken)
        ),
        "messages_unlike_the_truth": len(stored.items() ^ true.items()),
    }


def seconds(run: runs.Run) -> float:
    """Return how long a sync took; raises RuntimeError where it did not end."""
    if run.started_at is None or run.finished_at is None:
        raise RuntimeError(f"the run ended as {run.status}: {run.error}")
    return (run.finished_at - run.started_at).total_seconds()


def _beside(took: float, bound: float, calls: int) -> Figures:
    return {"seconds": took, "bound_s": bound, "of_bound": took / bound, "calls": calls}
