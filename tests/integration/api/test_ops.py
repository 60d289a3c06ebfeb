"""How everything does, and what to do with dead letters."""

import asyncio
from datetime import UTC, datetime

import pytest
from msgspec import structs
from redis.asyncio import Redis

from ingress.api.ops import alerts
from shared import heartbeat, metrics, queue
from shared.heartbeat import Heartbeat
from shared.queue import LATER, NOW
from shared.redis import connect
from shared.store import pages
from shared.store.applying import insert_dead_letters
from shared.store.rows import DeadLetter
from tests.integration.api.test_live import Stream
from tests.integration.api.world import NOW_MS, OTHER, PAGE, World, message


async def letters(world: World, *reasons: str, page: str | None = PAGE) -> None:
    async with world.database.transaction() as connection:
        await insert_dead_letters(
            connection,
            [
                DeadLetter(
                    source="webhook", reason=reason, error="why", object="page", page_id=page,
                    bytes=f"{n} {page}".encode(), received_ms=NOW_MS,
                )
                for n, reason in enumerate(reasons)
            ],
        )  # fmt: skip


async def test_processes_jobs_and_numbers_are_shown_at_a_glance(
    world: World, redis_url: str
) -> None:
    redis = connect(redis_url)
    worker = Heartbeat(
        redis, name="worker-1", kind="worker", numbers=lambda: {"pool_in_use": 3, "pool_max": 10}
    )
    metrics.cron_every.labels("sweep").set(10)
    for ending in ("Done", "Snooze", "DeadLetter"):
        metrics.job_seconds.labels("some_job", ending).observe(0.5)
    stop = asyncio.Event()
    beating = asyncio.create_task(worker.run(stop))
    await world.ask("POST", "/api/conversations/sync?wait=0", json={"pageId": PAGE})
    await letters(world, "unreadable", "refused")

    async def seen() -> bool:
        await world.api.ops._look()
        return any(one["kind"] == "worker" for one in (await world.get("/api/ops"))["workers"])

    await world.until(seen)
    shown = await world.get("/api/ops")
    [one] = [one for one in shown["workers"] if one["kind"] == "worker"]
    assert one["name"] == "worker-1"
    assert one["rssBytes"] > 1_000_000
    assert shown["strip"]["workersAlive"] == 1
    assert shown["strip"]["jobsQueued"] == 1
    assert shown["strip"]["deadLetters"] == 2
    assert shown["strip"]["poolMax"] >= 10
    assert [job["state"] for job in shown["jobs"]] == ["queued"]
    assert [(one["name"], one["due"]) for one in shown["queues"]] == [(NOW, 1), (LATER, 0)]
    [some_job] = [one for one in shown["kinds"] if one["name"] == "some_job"]
    assert some_job["meanMs"] == 500
    # Both processes of this test count in one place.
    assert some_job["done"] == some_job["again"] == some_job["givenUp"] in {1, 2}
    [sweep] = [one for one in shown["cron"] if one["name"] == "sweep"]
    until = datetime.fromisoformat(sweep["nextRunAt"]) - datetime.now(UTC)
    assert 0 <= until.total_seconds() <= 10
    assert "dead letters" in str(shown["alerts"])
    stop.set()
    await beating
    assert [one.kind for one in await heartbeat.beats(redis)] in (["ingress"], [])
    await redis.aclose()


async def test_the_history_grows_with_every_look(world: World) -> None:
    for _ in range(3):
        await world.api.ops._look()
    history = await world.get("/api/ops/history")
    assert history["step"] == 5
    assert {len(series) for series in history["series"].values()} == {180}
    assert history["series"]["deadLetters"][-3:] == [0, 0, 0]
    assert history["series"]["deadLetters"][0] is None


async def test_what_comes_in_is_told_without_what_people_wrote(world: World) -> None:
    headers = {"Authorization": f"Bearer {world.keys['admin']}"}
    async with world.http.get("/api/ops/events", headers=headers) as answer:
        stream = Stream(answer)
        await stream.frame()
        await world.happen(message(1, text="a secret"))
        items = [(await stream.next("item"))["data"] for _ in range(2)]
    assert '"kind":"conversation"' in items[0]
    assert '"kind":"message"' in items[1]
    assert "secret" not in str(items)


async def test_a_key_for_some_pages_does_not_see_the_machines(world: World) -> None:
    for path in ("/api/ops", "/api/ops/history", "/api/ops/events"):
        assert (await world.ask("GET", path, "acme")).status == 403


async def test_what_is_wrong_is_said_with_what_to_do(world: World) -> None:
    # How durable another test's Redis was is still known in this process.
    strip = structs.replace(await world.api.ops._look(), durability_level=None)
    page = await pages.find(world.database, PAGE)
    await world.park(page.id, "the token has expired")
    told = alerts(strip, await pages.listing(world.database), in_memory=True)
    assert [one.level for one in told] == ["error", "error", "warning"]
    assert "No worker" in told[0].text
    assert "the token has expired" in told[1].text
    assert all(one.fix for one in told)


async def test_readiness_says_when_redis_is_away_from_the_cache(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await world.ask("GET", "/readyz", "")).body == {"ready": True, "cache": "redis"}
    monkeypatch.setattr(world.api.cache, "_retry_at", 0.0)
    assert (await world.ask("GET", "/readyz", "")).body == {"ready": True, "cache": "memory"}


async def test_a_process_long_gone_is_forgotten_and_nonsense_is_passed_over(
    redis_url: str,
) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.hset(heartbeat.KEY, "other", b"\xc1 from another release")
        assert await heartbeat.beats(redis) == []
        assert await redis.hlen(heartbeat.KEY) == 0


async def test_dead_letters_are_listed_by_reason_in_slices(world: World) -> None:
    await letters(world, "unreadable", "refused", "unreadable")
    await letters(world, "refused", page=OTHER)
    first = await world.get("/api/dead", reason="unreadable", limit=1)
    rest = await world.get("/api/dead", reason="unreadable", cursor=first["nextCursor"])
    assert [(one["reason"], one["count"]) for one in first["groups"]] == [
        ("refused", 2), ("unreadable", 2),
    ]  # fmt: skip
    ids = [one["id"] for one in first["data"] + rest["data"]]
    assert len(ids) == len(set(ids)) == 2
    assert rest["nextCursor"] is None
    theirs = await world.get("/api/dead", "other")
    assert [one["pageId"] for one in theirs["data"]] == [OTHER]


async def test_a_letter_is_discarded_or_tried_again_once_by_who_may(
    world: World, redis_url: str
) -> None:
    await letters(world, "unreadable", "refused")
    newest, oldest = (one["id"] for one in (await world.get("/api/dead"))["data"])
    assert (await world.ask("POST", f"/api/dead/{newest}/discard", "read")).status == 403
    assert (await world.ask("POST", f"/api/dead/{newest}/discard", "other")).status == 404
    discarded = await world.ask("POST", f"/api/dead/{newest}/discard")
    assert discarded.body == {"count": 1}
    assert (await world.ask("POST", f"/api/dead/{newest}/retry")).status == 409
    assert (await world.ask("POST", f"/api/dead/{oldest}/retry")).status == 202
    async with Redis.from_url(redis_url) as redis:
        [job_id] = await redis.zrange(queue.NOW, 0, -1)
        [job] = queue.decode(await redis.get(b"arq:job:" + job_id))["a"]
    assert job == queue.RetryDead(ids=[oldest])
    assert (await world.ask("POST", "/api/dead/999/retry")).status == 404


async def test_all_letters_of_a_reason_are_decided_at_once_within_the_keys_pages(
    world: World, redis_url: str
) -> None:
    await letters(world, "unreadable", "unreadable")
    await letters(world, "unreadable", page=OTHER)
    body = {"reason": "unreadable"}
    discarded = await world.ask("POST", "/api/dead/discard", "other", json=body)
    assert discarded.body == {"count": 1}
    assert (await world.ask("POST", "/api/dead/retry", "acme", json=body)).status == 202
    async with Redis.from_url(redis_url) as redis:
        [job_id] = await redis.zrange(queue.NOW, 0, -1)
        [job] = queue.decode(await redis.get(b"arq:job:" + job_id))["a"]
    assert job.reason == "unreadable"
    assert set(job.page_ids) == {PAGE, "17841000000000001"}


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": 5}, {"reason": "a\0"}])
async def test_without_a_reason_nothing_is_decided(world: World, body: object) -> None:
    for path in ("/api/dead/retry", "/api/dead/discard"):
        assert (await world.ask("POST", path, json=body)).status == 400
