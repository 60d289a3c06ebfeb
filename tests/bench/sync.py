"""Measures the sync engine against the simulator and prints a table.

    python -m tests.bench.sync [NAME…]

Without names it takes all measurements. Every line names what it promises; the exit status is 1
when one of them is not kept.
"""

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Literal

import asyncpg
from msgspec import Struct

from deploy.local import servers
from deploy.simulator.config import Config, Modes
from deploy.simulator.faults import Fault
from deploy.simulator.simulator import Simulator
from shared import log
from shared.facebook.limits import Priority
from shared.redis import connect
from shared.store import runs
from shared.store.migrate import migrate
from tests.acceptance import losing
from tests.integration.sync.desk import Desk, opened
from tests.integration.sync.interruptions import interrupted_walk, stepping
from tests.stack import Stack, running

SLICES = "/conversations$"
LATENCY = 0.5
SINCE: tuple[Literal["ignore", "honour", "exclusive", "refuse"], ...] = (
    "ignore",
    "honour",
    "exclusive",
    "refuse",
)


class Line(Struct, frozen=True):
    """What was measured, what it was, and whether it is as promised."""

    what: str
    found: str
    kept: bool


class Bench:
    """Opens desks on one PostgreSQL and one Valkey, each with tables of its own."""

    def __init__(self, postgres: str, redis: str) -> None:
        self._postgres = postgres
        self.redis = redis
        self._databases = 0

    @asynccontextmanager
    async def desk(self, simulated: Config, **overrides: str) -> AsyncIterator[Desk]:
        async with opened(await self.database(), self.redis, simulated, **overrides) as desk:
            yield desk

    async def database(self) -> str:
        """Return the address of new tables; Redis is emptied."""
        self._databases += 1
        name = f"bench_{self._databases}"
        admin = await asyncpg.connect(self._postgres)
        await admin.execute(f"create database {name}")
        await admin.close()
        database = self._postgres.replace("/postgres?", f"/{name}?")
        await migrate(database)
        redis = connect(self.redis)
        await redis.flushall()
        await redis.aclose()
        return database


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
        true = {
            message.mid: message.text
            for page in well
            for conversation in desk.sim.truth.page(page).conversations()
            for message in conversation.messages
        }
        complete = sum(ended[page].status == "complete" for page in well)
        reasons = [ended[page].error_code for page in (dead, limited, broken)]
        yield Line(
            "47 complete, their tables as the truth; 3 say why",
            f"{complete}, {len(true)} messages; {', '.join(map(str, reasons))}",
            complete == 47 and await desk.stored_mids() == true and all(reasons),
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
        calls, requests = len(desk.sim.calls.list()), desk.sim.calls.requests()
        over = 1000 * (_seconds(run) - requests * LATENCY)
        yield Line(
            "10 changed of 1,000: 2 calls, 50 ms over their latency",
            f"{run.counts.updated} in {calls} calls, {over:.0f} ms over",
            run.counts.updated == 10 and calls <= 2 and over <= 50,
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
    """The worker is a process of its own, so that its memory is no one else's."""
    async with bench.desk(Config(conversations=100, messages=1025)) as desk:
        page = desk.only_page()
        await desk.sync(page)
        run = await desk.request(page, "history")
        worker = await stepping(desk, run)
        ending, marks = asyncio.create_task(worker.wait()), [_Mark(0, time.monotonic(), 0)]
        memory = 0.0
        while not ending.done():
            done = (await runs.find(desk.database, run.id)).counts.events_created
            memory = _megabytes(worker.pid) or memory
            if done >= marks[-1].messages + 10_000:
                marks.append(_Mark(done, time.monotonic(), memory))
            await asyncio.wait([ending], timeout=0.02)
        ended = await runs.find(desk.database, run.id)
        marks.append(_Mark(ended.counts.events_created, time.monotonic(), memory))
        laps = [
            10_000 * (later.at - sooner.at) / (later.messages - sooner.messages)
            for sooner, later in pairwise(marks)
            if later.messages - sooner.messages >= 10_000
        ]
        kept = [marks[n].memory for n in (1, len(marks) // 2, -1)]
        yield Line(
            "100,000 messages of history: worker's memory at 10, 50, 100 %",
            " / ".join(f"{megabytes:.0f} MB" for megabytes in kept),
            ended.counts.events_created == 100_000 and kept[-1] - kept[0] < 20,
        )
        yield Line(
            "the same: seconds for each 10,000 messages",
            " ".join(f"{lap:.1f}" for lap in laps),
            max(laps[1:]) < 2 * min(laps[1:]),  # the first lap begins with the process
        )


class _Mark(Struct, frozen=True):
    messages: int
    at: float
    memory: float


def _megabytes(pid: int) -> float:
    """Return what a process keeps in memory now, 0 where it has ended."""
    try:
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return resident * resource.getpagesize() / 2**20


async def interruptions(bench: Bench) -> AsyncIterator[Line]:
    async with bench.desk(Config(conversations=300, messages=6), sync_slice="10") as desk:
        walked = await interrupted_walk(desk, times=20, slice_=10)
        is_true = await desk.stored_mids() == desk.true_mids()
        yield Line(
            "interrupted 20 times (kill -9, 500, 613, 190, cursor): complete",
            f"{walked.interrupted} times, {walked.run.status}, "
            + ("as the truth" if is_true else "NOT the truth"),
            walked.interrupted == 20 and walked.run.status == "complete" and is_true,
        )
        yield Line(
            "the same: rows fetched at most conversations + what is fair",
            f"{walked.fetched} of {walked.most}",
            walked.fetched <= walked.most,
        )


async def lost_webhooks(bench: Bench) -> AsyncIterator[Line]:
    database = await bench.database()
    with tempfile.TemporaryDirectory(prefix="pagewire-bench-") as folder:
        async with Simulator(losing.CONFIG) as facebook:
            stack = Stack(
                database, bench.redis, Path(folder), graph=facebook.url, **losing.SETTINGS
            )
            async with running(stack):
                lost = await losing.lose(stack, facebook)
                proof = await losing.prove(stack, facebook)
                is_true = await losing.told(stack) == losing.truth(facebook)
    yield Line(
        "5 % lost, an hour unsubscribed: verify --deep after the repair",
        f"{lost.dropped} + {lost.after_the_hour - lost.dropped} lost, {proof['status']}, "
        f"{len(proof['missing'])} missing, " + ("as the truth" if is_true else "NOT the truth"),
        lost.dropped > 0 and proof["status"] == "complete" and not proof["missing"] and is_true,
    )


async def since(bench: Bench) -> AsyncIterator[Line]:
    true = []
    for mode in SINCE:
        config = Config(conversations=200, messages=6, modes=Modes(since=mode))
        async with bench.desk(config) as desk:
            await desk.sync(desk.only_page())
            desk.sim.happen(desk.only_page(), conversations=20, webhook=False)
            await desk.sync(desk.only_page())
            true.append(await desk.stored_mids() == desk.true_mids())
    yield Line(
        "`since` ignored, honoured, exclusive, refused: tables as the truth",
        f"{sum(true)} of {len(SINCE)}",
        all(true),
    )


MEASUREMENTS: dict[str, Callable[[Bench], AsyncIterator[Line]]] = {
    "many-pages": many_pages,
    "one-page": one_page,
    "history": long_history,
    "interruptions": interruptions,
    "lost-webhooks": lost_webhooks,
    "since": since,
}


async def measure(postgres: str, redis: str, names: Sequence[str]) -> bool:
    """Take the measurements named; tell whether every promise was kept."""
    bench, kept = Bench(postgres, redis), True
    for name in names:
        async for line in MEASUREMENTS[name](bench):
            kept = kept and line.kept
            print(f"{'ok  ' if line.kept else 'MISS'} {line.what:64} {line.found}", flush=True)
    return kept


def main(arguments: Sequence[str]) -> int:
    names = arguments or list(MEASUREMENTS)
    if unknown := set(names) - MEASUREMENTS.keys():
        print(f"No such measurement: {', '.join(unknown)}.", file=sys.stderr)
        print(f"There are {', '.join(MEASUREMENTS)}.", file=sys.stderr)
        return 2
    log.configure("error")
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pagewire-bench-")))
        home.chmod(0o755)
        postgres = stack.enter_context(servers.postgres(home, durable=False))
        redis = stack.enter_context(servers.redis(home, durable=False))
        return 0 if asyncio.run(measure(postgres, redis, names)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
