"""Asking for syncs, with a worker played by the test."""

import asyncio
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis

from ingress.api import sync
from shared import queue
from shared.queue import NOW
from shared.store import pages, runs
from shared.store.runs import Counts
from tests.integration.api.world import OTHER, PAGE, World

COUNTS = Counts(total=5, synced=5, inserted=3, updated=2, events_created=12)


@pytest.fixture(autouse=True)
async def _were_synced_before(world: World) -> None:
    """The first sync of a Page is a full one; these are later ones."""
    await world.rows(
        "insert into sync_points (page_id, platform, folder, synced_to, walked_at)"
        " select facebook_page_id, 'messenger', 'inbox', now(), now() from facebook_pages"
        " returning 1"
    )


async def work(world: World, run_id: UUID, counts: Counts = COUNTS, **ending: str) -> None:
    """Take and end a run, as a worker does."""
    lease = uuid4()
    for taken in await runs.take(world.database, run_id, lease, most=10):
        ended = {"status": "complete", **ending}
        await runs.end(world.database, taken, lease, counts=counts, **ended)


async def asked(world: World) -> UUID:
    """Wait for a run to be asked for."""

    async def there() -> bool:
        return bool(await world.rows("select 1 from sync_runs where status = 'queued'"))

    await world.until(there)
    [(run_id,)] = await world.rows("select id from sync_runs where status = 'queued'")
    return run_id


async def test_a_sync_is_answered_when_it_is_done_as_the_original_answered(world: World) -> None:
    body = {"pageId": PAGE, "facebookPageId": PAGE, "forceFull": False}
    asking = asyncio.create_task(world.ask("POST", "/api/conversations/sync", "sync", json=body))
    run_id = await asked(world)
    await work(world, run_id)
    reply = await asking
    assert reply.status == 200
    assert reply.body.pop("duration") >= 0
    assert reply.body == {
        "success": True,
        "synced": 5,
        "inserted": 3,
        "updated": 2,
        "skipped": 0,
        "total": 5,
        "eventsCreated": 12,
        "syncMode": "incremental",
        "message": "Incremental sync: 5 conversation(s) with 12 events",
        "jobId": str(run_id),
        "complete": True,
        "historyComplete": True,
    }
    job = await world.get(f"/api/jobs/{run_id}")
    assert job["state"] == "complete"
    assert job["page"]["name"] == "Acme"
    assert job["result"]["synced"] == 5


async def test_a_sync_is_put_where_workers_look_first(world: World, redis_url: str) -> None:
    reply = await world.ask("POST", "/api/conversations/sync?wait=0", json={"pageId": PAGE})
    assert reply.status == 202
    assert reply.headers["Location"] == f"/api/jobs/{reply.body['jobId']}"
    async with Redis.from_url(redis_url) as redis:
        [job_id] = await redis.zrange(NOW, 0, -1)
        raw = await redis.get(b"arq:job:" + job_id)
    [job] = queue.decode(raw)["a"]
    assert job == queue.SyncStep(run_id=reply.body["jobId"])


async def test_a_second_sync_joins_and_a_full_one_follows(world: World) -> None:
    async def ask(**body: object) -> UUID:
        reply = await world.ask(
            "POST", "/api/conversations/sync?wait=0", json={"pageId": PAGE, **body}
        )
        return UUID(reply.body["jobId"])

    first = await ask()
    await runs.take(world.database, first, uuid4(), most=1)
    assert await ask() == first
    full = await ask(forceFull=True)
    assert full != first
    assert await ask(forceFull=True) == full


async def test_a_sync_that_takes_long_is_answered_with_its_job(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "PATIENCE", sync.timedelta(seconds=0.3))
    reply = await world.ask("POST", "/api/conversations/sync", json={"pageId": PAGE})
    assert reply.status == 202
    assert reply.body["state"] == "queued"
    assert reply.body["result"] is None


async def test_a_sync_that_cannot_go_on_says_why(world: World) -> None:
    asking = asyncio.create_task(
        world.ask("POST", "/api/conversations/sync", json={"pageId": PAGE})
    )
    await work(world, await asked(world), status="failed", error="Graph does not answer")
    reply = await asking
    assert reply.status == 502
    assert "Graph does not answer" in reply.body["error"]
    page = await pages.find(world.database, PAGE)
    await world.park(page.id, "The token has expired")
    reply = await world.ask("POST", "/api/conversations/sync", json={"pageId": PAGE})
    assert reply.status == 409
    assert "The token has expired" in reply.body["error"]


async def test_a_sync_of_all_tells_of_each_page_and_of_parked_ones_why(world: World) -> None:
    page = await pages.find(world.database, OTHER)
    await world.park(page.id, "The token has expired")
    asking = asyncio.create_task(world.ask("POST", "/api/conversations/sync-all", "sync"))
    await work(world, await asked(world))
    reply = await asking
    assert reply.status == 200
    acme, other = reply.body["results"]
    assert acme["pageId"] == PAGE
    assert acme["success"] is True
    assert acme["syncMode"] == "incremental"
    assert "error" not in acme
    assert other["success"] is False
    assert "The token has expired" in other["error"]
    assert reply.body["success"] is False
    assert reply.body["totalPages"] == 2
    assert reply.body["totals"] == {
        "totalSynced": 5,
        "totalInserted": 3,
        "totalUpdated": 2,
        "successCount": 1,
        "failureCount": 1,
    }


async def test_without_an_active_page_there_is_nothing_to_sync(world: World) -> None:
    for any_id in (PAGE, OTHER):
        page = await pages.find(world.database, any_id)
        await pages.pause(world.database, page.id)
    assert (await world.ask("POST", "/api/conversations/sync-all")).status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"pageId": None}, 400),
        ({"pageId": PAGE, "facebookPageId": OTHER}, 400),
        ({"pageId": "404"}, 404),
        ({"pageId": 7}, 400),
        ({"pageId": PAGE, "force": True}, 400),
        ({"pageId": PAGE, "forceFull": "yes"}, 400),
        ([], 400),
    ],
)
async def test_a_wrong_request_is_explained(world: World, body: object, status: int) -> None:
    reply = await world.ask("POST", "/api/conversations/sync?wait=0", json=body)
    assert reply.status == status
    assert reply.body["error"]


async def test_a_job_is_followed_to_its_end(world: World) -> None:
    reply = await world.ask("POST", "/api/conversations/sync?wait=0", json={"pageId": PAGE})
    run_id = UUID(reply.body["jobId"])
    following = asyncio.create_task(world.ask("GET", f"/api/jobs/{run_id}/events"))

    async def followed() -> bool:
        return len(world.api.streams) == 1

    await world.until(followed)
    await work(world, run_id)
    told = (await following).body
    assert told.count("event: job\n") >= 2
    assert '"state":"queued"' in told
    assert '"synced":5' in told.rpartition("data:")[2]


async def test_without_redis_a_sync_is_asked_for_all_the_same(
    environ: dict[str, str], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(queue.Queue, "put", away)
    reply = await world.ask("POST", "/api/conversations/sync?wait=0", json={"pageId": PAGE})
    assert reply.status == 202
