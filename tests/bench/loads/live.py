"""Live events while all Pages are synced, in the processes that guides tell to run."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import aiohttp

from tests.bench import figures
from tests.bench.figures import Figures
from tests.bench.follower import following, visible
from tests.bench.loads import rows
from tests.bench.loads.size import Size
from tests.bench.sender import Answer, send
from tests.bench.servers import Servers
from tests.bench.systems import System
from tests.bench.traffic import Event, events, posts
from tests.stack import ROOT, SECRET, Stack, running

RATE = 200
PAGES, CONVERSATIONS, MESSAGES = 50, 300, 5
LATENCY, BUDGET = 0.5, 2
"""Seconds a call takes, and calls a second for each Page: as Facebook's are."""

Setup: TypeAlias = Mapping[str, Any]

_SYNCED = "select count(*) from messages where source = 'graph'"
_ENDED = "select extract(epoch from finished_at)::float8 from sync_runs where mode = 'all'"


async def beside_sync(servers: Servers, system: System, size: Size) -> Figures:
    """What becomes of live events, first alone, then beside a sync, which began just before.

    `of_alone` is the second p99 in the first; `synced_percent` says how much of the sync was done
    meanwhile, in `beside_s`.
    """
    async with _facebook(servers) as facebook, _pagewire(servers, facebook) as stack:
        pages = [page["id"] for page in facebook["pages"]]
        await send(stack.port, posts(events(rows.WARM, seed=1, pages=pages)))
        alone = events(int(RATE * size.seconds), seed=2, pages=pages)
        beside = events(int(RATE * size.seconds), seed=3, pages=pages)
        before, _ = await _told(stack, alone)
        await _start_sync(stack)
        found, answers = await _told(stack, beside)
        synced = await rows.value(stack.postgres, _SYNCED)
    return {
        **found,
        "alone_p99_ms": before["visible_p99_ms"],
        "of_alone": found["visible_p99_ms"] / before["visible_p99_ms"],
        "synced_percent": 100 * synced / (PAGES * CONVERSATIONS * MESSAGES),
        "beside_s": len(answers) / RATE,
    }


async def _told(stack: Stack, happened: Sequence[Event]) -> tuple[Figures, list[Answer]]:
    """Post events, and return what became of those that were posted before a sync ended."""
    async with following(stack.postgres) as follower:
        answers = await send(stack.port, posts(happened), RATE)
        await stack.until(stack.drained)
        found = await rows.those_of(stack.postgres, [event.mid for event in happened])
    [ended] = await stack.rows(_ENDED) or [(None,)]
    counted = [answer for answer in answers if ended[0] is None or answer.sent < ended[0]]
    told = figures.visible(counted, visible(found, follower.snapshots), happened)
    return {**figures.acks(counted), **told}, counted


async def _start_sync(stack: Stack) -> None:
    """Ask for a sync of all Pages as a person does."""
    key = (await stack.command("key", "create", "--scope", "sync"))["key"]
    async with stack.session.post(
        f"{stack.url}/api/conversations/sync-all?wait=0",
        headers={"Authorization": f"Bearer {key}"},
        json={"forceFull": True},
    ) as answer:
        assert answer.status == 202, await answer.text()


@asynccontextmanager
async def _facebook(servers: Servers) -> AsyncIterator[Setup]:
    """A simulated Facebook in a process of its own; yield what it tells of its set-up."""
    options = {
        "pages": PAGES,
        "conversations": CONVERSATIONS,
        "messages": MESSAGES,
        "latency": LATENCY,
        "page-calls-per-second": BUDGET,
        "app-secret": SECRET,
    }
    with (servers.folder / "simulator.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.simulator"),
            *(f"--{name}={value}" for name, value in options.items()),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    assert process.stdout is not None
    try:
        control = json.loads(await process.stdout.readline())["control"]
        async with aiohttp.ClientSession() as http, http.get(control + "setup") as answer:
            yield await answer.json()
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def _pagewire(servers: Servers, facebook: Setup) -> AsyncIterator[Stack]:
    """Ingress, ingest worker and jobs worker, each a process, with all of Facebook's Pages."""
    stack = Stack(
        await servers.fresh(),
        servers.redis,
        servers.folder,
        graph=facebook["url"],
        FACEBOOK_APP_ID=facebook["appId"],
        GRAPH_PAGE_CALLS_PER_SECOND=str(BUDGET),
        LOG_LEVEL="warning",
    )
    stack.worker = stack.process("ingest", "worker", "--only", "ingest")
    jobs = stack.process("jobs", "worker", "--only", "jobs")
    async with running(stack):
        token = servers.folder / "user-token"
        token.write_text(facebook["userToken"])
        await stack.command("page", "import", "--user-token-file", str(token))
        jobs.start()
        try:
            yield stack
        finally:
            jobs.stop()
