"""Measures the sync engine against the simulator and prints a table.

    python -m tests.bench.sync

Every line names what it promises; the exit status is 1 when one of them is not kept.
"""

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path

import asyncpg
from msgspec import Struct

from deploy.local import servers
from deploy.simulator.config import Config, Modes
from deploy.simulator.faults import Fault
from shared.facebook.limits import Priority
from shared.redis import connect
from shared.store import runs
from shared.store.migrate import migrate
from tests.integration.sync.desk import Desk, opened

SLICES = "/conversations$"
LATENCY = 0.5


class Line(Struct, frozen=True):
    """What was measured, what it was, and whether it is as promised."""

    what: str
    found: str
    kept: bool


class Bench:
    """Opens desks on one PostgreSQL and one Valkey, each with tables of its own."""

    def __init__(self, postgres: str, redis: str) -> None:
        self._postgres = postgres
        self._redis = redis
        self._desks = 0

    @asynccontextmanager
    async def desk(self, simulated: Config, **overrides: str) -> AsyncIterator[Desk]:
        self._desks += 1
        name = f"bench_{self._desks}"
        admin = await asyncpg.connect(self._postgres)
        await admin.execute(f"create database {name}")
        await admin.close()
        database = self._postgres.replace("/postgres?", f"/{name}?")
        await migrate(database)
        redis = connect(self._redis)
        await redis.flushall()
        await redis.aclose()
        async with opened(database, self._redis, simulated, **overrides) as desk:
            yield desk


async def many_pages(bench: Bench) -> AsyncIterator[Line]:
    async with bench.desk(Config(pages=50, conversations=200, messages=5)) as desk:
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
        yield Line(
            "50 Pages x 200 conversations: HTTP requests = rounds",
            f"{requests} = {rounds}, {took:.1f} s",
            requests == rounds,
        )
        ended = {run.page_id: run for _, run in await runs.members(desk.database, batch.id)}
        stored = await desk.value("select count(*) from messages where page_id = any($1)", well)
        complete = sum(ended[page].status == "complete" for page in well)
        reasons = [ended[page].error_code for page in (dead, limited, broken)]
        yield Line(
            "47 complete, 3 say why",
            f"{complete}, {stored} messages; {', '.join(map(str, reasons))}",
            complete == 47 and stored == 47 * 1000 and all(reasons),
        )


async def one_page(bench: Bench) -> AsyncIterator[Line]:
    config = Config(conversations=1000, messages=25, modes=Modes(latency=LATENCY))
    async with bench.desk(config) as desk:
        run = await desk.sync(desk.only_page())
        requests = desk.sim.calls.requests()
        yield _wall("1,000 x 25 at 500 ms a call, no budget", run, requests * LATENCY)
        desk.sim.happen(desk.only_page(), conversations=10, webhook=False)
        desk.sim.calls.clear()
        run = await desk.sync(desk.only_page())
        requests = desk.sim.calls.requests()
        over = 1000 * (_seconds(run) - requests * LATENCY)
        yield Line(
            "10 changed of 1,000: 2 calls, 50 ms over their latency",
            f"{run.counts.updated} in {requests} calls, {over:.0f} ms over",
            run.counts.updated == 10 and requests <= 2 and over <= 50,
        )
    config.modes.page_calls_per_second = 2
    async with bench.desk(config, graph_page_calls_per_second="2") as desk:
        run = await desk.sync(desk.only_page())
        calls = len(desk.sim.calls.list(page=desk.only_page()))
        yield _wall("1,000 x 25 at 2 calls a second", run, calls / 2)
        refused = len(desk.sim.calls.list(code=613))
        yield Line("never a 613", str(refused), refused == 0)


def _wall(what: str, run: runs.Run, bound: float) -> Line:
    took = _seconds(run)
    return Line(
        f"{what}: at most 1.15 x the bound",
        f"{took:.2f} s / {bound:.2f} s = {took / bound:.2f}",
        took <= 1.15 * bound,
    )


def _seconds(run: runs.Run) -> float:
    if run.started_at is None or run.finished_at is None:
        raise RuntimeError(f"the run ended as {run.status}: {run.error}")
    return (run.finished_at - run.started_at).total_seconds()


async def long_history(bench: Bench) -> AsyncIterator[Line]:
    async with bench.desk(Config(conversations=100, messages=1025)) as desk:
        page = desk.only_page()
        await desk.sync(page)
        run = await desk.request(page, "history")
        begun = (await runs.find(desk.database, run.id)).counts.events_created
        finishing = asyncio.create_task(desk.finish(run, within=600))
        times, memory = [time.monotonic()], []
        while not finishing.done():
            done = (await runs.find(desk.database, run.id)).counts.events_created - begun
            while done >= len(times) * 10_000:
                times.append(time.monotonic())
                memory.append(_rss())
            await asyncio.sleep(0.02)
        times.append(time.monotonic())
        memory.append(_rss())
        laps = [later - sooner for sooner, later in pairwise(times)][:10]
        yield Line(
            "100,000 messages of history: memory at 10, 50, 100 %",
            " / ".join(f"{memory[n]:.0f} MB" for n in (0, len(memory) // 2, -1)),
            memory[-1] - memory[0] < 20,
        )
        yield Line(
            "the same: seconds for each 10,000 messages",
            " ".join(f"{lap:.1f}" for lap in laps),
            max(laps) < 2 * min(laps),
        )


def _rss() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


MEASUREMENTS: tuple[Callable[[Bench], AsyncIterator[Line]], ...] = (
    one_page,
    many_pages,
    long_history,
)


async def measure(postgres: str, redis: str) -> bool:
    """Take all measurements; tell whether every promise was kept."""
    bench, kept = Bench(postgres, redis), True
    for measurement in MEASUREMENTS:
        async for line in measurement(bench):
            kept = kept and line.kept
            print(f"{'ok  ' if line.kept else 'MISS'} {line.what:58} {line.found}", flush=True)
    return kept


def main() -> int:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pagewire-bench-")))
        home.chmod(0o755)
        postgres = stack.enter_context(servers.postgres(home, durable=False))
        redis = stack.enter_context(servers.redis(home, durable=False))
        return 0 if asyncio.run(measure(postgres, redis)) else 1


if __name__ == "__main__":
    sys.exit(main())
