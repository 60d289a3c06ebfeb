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
from itertools import pairwise
from pathlib import Path
from typing import Literal

from msgspec import Struct

from deploy.simulator.config import Config, Modes
from deploy.simulator.simulator import Simulator
from shared import log
from shared.store import runs
from tests.acceptance import losing
from tests.bench.figures import Figures
from tests.bench.loads import syncs
from tests.bench.servers import Servers, opened
from tests.integration.sync.interruptions import interrupted_walk, stepping
from tests.stack import Stack, running

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


async def fifty_pages(servers: Servers) -> AsyncIterator[Line]:
    found = await syncs.fifty_pages(servers)
    yield Line(
        "50 Pages x 200 conversations: HTTP requests = rounds",
        f"{found['calls']} = {found['rounds']}, {found['seconds']:.1f} s",
        found["calls"] == found["rounds"],
    )
    told, unlike = found["incomplete_say_why"], found["messages_unlike_the_truth"]
    yield Line(
        "47 complete, their tables as the truth; 3 say why",
        f"{found['complete']}, {unlike} messages unlike it; {told}",
        found["complete"] == 47 and told == 3 and unlike == 0,
    )


async def one_page(servers: Servers) -> AsyncIterator[Line]:
    found = await syncs.one_page(servers)
    yield _wall("1,000 x 25 at 500 ms a call, no budget", found)
    updated, calls = found["incremental_updated"], found["incremental_calls"]
    over = found["incremental_over_ms"]
    yield Line(
        "10 changed of 1,000: 2 calls, 50 ms over their latency",
        f"{updated} in {calls} calls, {over:.0f} ms over",
        updated == 10 and calls <= 2 and over <= 50,
    )
    found = await syncs.within_budget(servers)
    yield _wall("1,000 x 25 at 2 calls a second", found)
    refused = found["calls_refused"]
    yield Line("never a 613", str(refused), refused == 0)


def _wall(what: str, found: Figures) -> Line:
    return Line(
        f"{what}: at most 1.15 x the bound",
        f"{found['seconds']:.2f} s / {found['bound_s']:.2f} s = {found['of_bound']:.2f}",
        found["of_bound"] <= 1.15,
    )


async def long_history(servers: Servers) -> AsyncIterator[Line]:
    """The worker is a process of its own, so that its memory is no one else's."""
    async with syncs.desk_of(servers, Config(conversations=100, messages=1025)) as desk:
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


async def interruptions(servers: Servers) -> AsyncIterator[Line]:
    async with syncs.desk_of(
        servers, Config(conversations=300, messages=6), sync_slice="10"
    ) as desk:
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


async def lost_webhooks(servers: Servers) -> AsyncIterator[Line]:
    database = await servers.migrated()
    with tempfile.TemporaryDirectory(prefix="pagewire-bench-") as folder:
        async with Simulator(losing.CONFIG) as facebook:
            stack = Stack(
                database, servers.redis, Path(folder), graph=facebook.url, **losing.SETTINGS
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


async def since(servers: Servers) -> AsyncIterator[Line]:
    true = []
    for mode in SINCE:
        config = Config(conversations=200, messages=6, modes=Modes(since=mode))
        async with syncs.desk_of(servers, config) as desk:
            await desk.sync(desk.only_page())
            desk.sim.happen(desk.only_page(), conversations=20, webhook=False)
            await desk.sync(desk.only_page())
            true.append(await desk.stored_mids() == desk.true_mids())
    yield Line(
        "`since` ignored, honoured, exclusive, refused: tables as the truth",
        f"{sum(true)} of {len(SINCE)}",
        all(true),
    )


MEASUREMENTS: dict[str, Callable[[Servers], AsyncIterator[Line]]] = {
    "fifty-pages": fifty_pages,
    "one-page": one_page,
    "history": long_history,
    "interruptions": interruptions,
    "lost-webhooks": lost_webhooks,
    "since": since,
}


async def measure(servers: Servers, names: Sequence[str]) -> bool:
    """Take the measurements named; tell whether every promise was kept."""
    kept = True
    for name in names:
        async for line in MEASUREMENTS[name](servers):
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
    with opened() as servers:
        return 0 if asyncio.run(measure(servers, names)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
