"""One trace leads from a request to the rows, across the backlog and across the queue."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext

from deploy.simulator import Config, Simulator
from ingress.app import Ingress
from shared import config, tracing
from shared.config import Secret
from shared.crypto import KeyRing
from shared.redis import connect
from shared.store import pages
from shared.store.database import Database
from tests.stack import SECRET, Stack
from worker import main as worker


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    """Where the spans of this process go."""
    exporter = InMemorySpanExporter()
    with tracing.sent_to(SimpleSpanProcessor(exporter), "test"):
        yield exporter


@pytest.fixture
async def facebook() -> AsyncIterator[Simulator]:
    """A Facebook with one Page."""
    facebook = Config(pages=1, conversations=2, messages=2, app_secret=SECRET)
    async with Simulator(facebook) as simulator:
        yield simulator


@pytest.fixture
async def stack(
    exporter: InMemorySpanExporter,
    facebook: Simulator,
    database: str,
    redis_url: str,
    tmp_path: Path,
) -> AsyncIterator[Stack]:
    """An ingress in this process, for Facebook's one Page."""
    stack = Stack(database, redis_url, tmp_path, facebook.url)
    stack.environment["FACEBOOK_APP_ID"] = facebook.config.app_id
    await _add(stack, facebook)
    ingress, stop = Ingress(config.load(stack.environment, wants=()), None, None), asyncio.Event()
    await ingress.start()
    serving = asyncio.create_task(ingress.run(stop))
    async with stack.connected():
        yield stack
    stop.set()
    await serving


async def _add(stack: Stack, facebook: Simulator) -> None:
    """Add the Page as the command line does, but ask no worker for anything."""
    [(page, token)] = facebook.tokens.of_page.items()
    keys = KeyRing(config.load(stack.environment, wants=()).token_encryption_keys)
    store = Database(stack.postgres, high=1)
    await pages.add(
        store,
        facebook_page_id=page,
        name="Corner shop",
        instagram_id=None,
        token=keys.encrypt(Secret(token), page),
    )
    await store.close()


@contextlib.asynccontextmanager
async def working(stack: Stack) -> AsyncIterator[None]:
    """A worker in this process."""
    stop = asyncio.Event()
    async with worker.build(config.load(stack.environment, wants=worker.WANTS)) as parts:
        parts_of = worker.tasks(parts, None, stop)
        running = [asyncio.create_task(start()) for start in parts_of.values()]
        yield
        stop.set()
        await asyncio.gather(*running)


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


async def test_a_webhook_is_followed_from_its_post_to_the_commit_and_to_who_listens(
    stack: Stack, facebook: Simulator, exporter: InMemorySpanExporter
):
    async with working(stack):
        assert await stack.post(_webhook(facebook, 1)) == 200
        await stack.until(lambda: _has(exporter, "ingest"))
    post, store, ingest, commit, announce = (
        *named(exporter, "POST /api/webhook"),
        *named(exporter, "store"),
        *named(exporter, "ingest"),
        *named(exporter, "commit"),
        *named(exporter, "announce"),
    )
    for parent, child in ((post, store), (store, ingest), (ingest, commit), (ingest, announce)):
        assert _ids(child.parent) == _ids(parent.context), child.name
    assert post.parent is None
    assert commit.attributes == {"items": 1}


async def test_what_is_joined_goes_on_with_the_first_and_links_to_the_others(
    stack: Stack, facebook: Simulator, exporter: InMemorySpanExporter
):
    for number in range(3):
        assert await stack.post(_webhook(facebook, number)) == 200
    async with working(stack):
        await stack.until(lambda: _has(exporter, "ingest"))
    first, *others = named(exporter, "store")
    [ingest] = named(exporter, "ingest")
    assert _ids(ingest.parent) == _ids(first.context)
    assert [_ids(link.context) for link in ingest.links] == [_ids(one.context) for one in others]


async def test_a_request_is_followed_into_the_jobs_it_asks_for(
    stack: Stack, exporter: InMemorySpanExporter
):
    key = (await stack.command("key", "create", "--scope", "sync"))["key"]
    ours = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"Authorization": f"Bearer {key}", "traceparent": ours}
    url = f"{stack.url}/api/conversations/sync-all?wait=0"
    async with working(stack):
        async with stack.session.post(url, headers=headers) as answer:
            assert answer.status == 202, await answer.text()
        await stack.until(lambda: _has(exporter, "graph"))
        await stack.until(lambda: _has(exporter, "sync_step"))
    trace_id = int(ours.split("-")[1], 16)
    for name in ("POST /api/conversations/sync-all", "sync_step", "graph"):
        assert trace_id in {span.context.trace_id for span in named(exporter, name)}, name


async def test_a_stranger_chooses_no_trace(
    stack: Stack, facebook: Simulator, exporter: InMemorySpanExporter
):
    theirs = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert await stack.post(_webhook(facebook, 1), traceparent=theirs) == 200
    [post] = named(exporter, "POST /api/webhook")
    assert post.parent is None


async def test_a_worker_without_work_tells_nothing(
    stack: Stack, exporter: InMemorySpanExporter, redis_url: str
):
    """arq looks for jobs ten times a second, and the loop for entries: no span is made of it."""
    redis = connect(redis_url)

    async def looked_often() -> bool:
        counts = await redis.info("commandstats")
        looks = [counts.get(f"cmdstat_{name}", {}) for name in ("zrangebyscore", "xreadgroup")]
        return all(look.get("calls", 0) >= few for look, few in zip(looks, (10, 2), strict=True))

    await redis.config_resetstat()
    async with working(stack):
        await stack.until(looked_often)
    await redis.aclose()
    assert [span.name for span in exporter.get_finished_spans()] == []


def _ids(context: SpanContext) -> tuple[int, int]:
    return context.trace_id, context.span_id


async def _has(exporter: InMemorySpanExporter, name: str) -> bool:
    return bool(named(exporter, name))


def _webhook(facebook: Simulator, number: int) -> bytes:
    [page] = facebook.truth.pages
    item = {
        "sender": {"id": "7001"},
        "recipient": {"id": page},
        "timestamp": 1_764_000_000_000 + number,
        "message": {"mid": f"m_{number}", "text": "hello"},
    }
    entry = {"id": page, "time": 1_764_000_000_000, "messaging": [item]}
    return json.dumps({"object": "page", "entry": [entry]}).encode()
