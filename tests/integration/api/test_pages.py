"""Pages through HTTP."""

from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from ingress.api.sums import Sums
from shared import queue
from shared.config import Secret
from shared.crypto import KeyRing
from shared.facebook.graph import limits
from shared.facebook.graph.usage import Spent
from shared.redis import connect
from shared.store import pages
from tests.integration.api.world import INSTAGRAM, OTHER, PAGE, World, message

NEW = {"facebookPageId": "3003", "name": "Corner shop", "accessToken": "EAAtoken"}


async def test_a_page_is_added_and_its_token_is_shown_to_nobody(
    world: World, environ: dict[str, str]
) -> None:
    reply = await world.ask("POST", "/api/pages", json=NEW)
    assert reply.status == 201
    page = reply.body
    assert reply.headers["Location"] == f"/api/pages/{page['id']}"
    assert (page["name"], page["status"], page["conversations"]) == ("Corner shop", "active", 0)
    assert "EAAtoken" not in str(reply.body) + str(await world.get("/api/pages"))
    sealed = await pages.token(world.database, page["id"])
    ring = KeyRing([Secret(environ["TOKEN_ENCRYPTION_KEYS"])])
    assert ring.decrypt(sealed or b"", "3003").reveal() == "EAAtoken"
    assert await world.get("/api/pages/3003") == page


@pytest.fixture(autouse=True)
def _add_up_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sums, "SHARE", 1e9)


async def test_a_page_tells_what_it_keeps_and_what_it_waits_for(world: World) -> None:
    await world.happen(message(1), message(2, page_id=INSTAGRAM, platform="instagram"))
    page = await world.get(f"/api/pages/{INSTAGRAM}")
    assert page["conversations"] == 2
    assert page["lastEventAt"] == "2025-11-24T16:00:02Z"
    assert page["run"] is None
    await world.ask("POST", "/api/conversations/sync?wait=0", json={"pageId": PAGE})
    page = await world.get(f"/api/pages/{PAGE}")
    assert page["run"]["state"] == "queued"
    assert page["run"]["page"] == {"id": page["id"], "name": "Acme"}


async def test_a_page_is_paused_resumed_renamed_and_given_a_new_token(world: World) -> None:
    path = f"/api/pages/{PAGE}"
    paused = await world.ask("PATCH", path, json={"status": "paused"})
    assert (paused.body["status"], paused.body["isActive"]) == ("paused", False)
    renamed = await world.ask("PATCH", path, json={"name": "Acme Ltd"})
    assert (renamed.body["name"], renamed.body["status"]) == ("Acme Ltd", "paused")
    resumed = await world.ask("PATCH", path, json={"status": "active"})
    assert resumed.body["status"] == "active"
    page = await pages.find(world.database, PAGE)
    await world.park(page.id, "The token has expired")
    unparked = await world.ask("PATCH", path, json={"accessToken": "EAAnew"})
    assert (unparked.body["status"], unparked.body["statusReason"]) == ("active", None)
    taken = await world.ask("PATCH", f"/api/pages/{OTHER}", json={"instagramId": INSTAGRAM})
    assert taken.status == 409


async def test_a_new_name_shows_in_what_was_read_before(world: World) -> None:
    await world.happen(message(1))
    assert (await world.get("/api/conversations"))["data"][0]["page"]["name"] == "Acme"
    await world.ask("PATCH", f"/api/pages/{PAGE}", json={"name": "Acme Ltd"})
    assert (await world.get("/api/conversations"))["data"][0]["page"]["name"] == "Acme Ltd"


async def test_a_removed_page_keeps_its_rows_until_it_is_purged(world: World) -> None:
    await world.happen(message(1))
    assert (await world.ask("DELETE", f"/api/pages/{PAGE}")).status == 204
    page = await world.get(f"/api/pages/{PAGE}")
    assert (page["status"], page["conversations"]) == ("removed", 1)
    assert (await world.ask("PATCH", f"/api/pages/{PAGE}", json={"name": "x"})).status == 409
    assert (await world.ask("DELETE", f"/api/pages/{PAGE}?purge=true")).status == 204
    assert (await world.ask("GET", f"/api/pages/{PAGE}")).status == 404
    assert (await world.get("/api/conversations"))["data"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"facebookPageId": "abc"},
        {"facebookPageId": ""},
        {"facebookPageId": "1\n"},
        {"name": ""},
        {"name": "a\0b"},
        {"accessToken": "two words"},
        {"accessToken": "x" * 5000},
        {"instagramId": 5},
        {"surprise": 1},
    ],
)
async def test_a_wrong_page_is_explained_without_repeating_its_token(
    world: World, wrong: dict[str, object]
) -> None:
    reply = await world.ask("POST", "/api/pages", json=NEW | wrong)
    assert reply.status == 400
    assert "EAA" not in reply.body["error"]
    assert "two words" not in reply.body["error"]


async def test_a_page_tells_what_is_used_of_facebooks_limits(world: World, redis_url: str) -> None:
    redis = connect(redis_url)
    budget = limits.Budget(redis, 2)
    assert (await world.get(f"/api/pages/{PAGE}"))["budget"] == {
        "usagePercent": None, "holdUntil": None,
    }  # fmt: skip
    await budget.learn(Spent(percent=40), {PAGE: Spent(percent=85, closed_seconds=60)})
    shown = (await world.get(f"/api/pages/{PAGE}"))["budget"]
    assert shown["usagePercent"] == 85
    until = datetime.fromisoformat(shown["holdUntil"]) - datetime.now(UTC)
    assert 50 < until.total_seconds() <= 60
    assert (await world.get(f"/api/pages/{OTHER}"))["budget"]["usagePercent"] == 40
    await redis.aclose()


async def test_a_subscription_is_seen_to_by_a_worker(world: World, redis_url: str) -> None:
    assert (await world.ask("POST", f"/api/pages/{PAGE}/subscribe", "sync")).status == 403
    assert (await world.ask("POST", f"/api/pages/{PAGE}/subscribe", "other")).status == 404
    assert (await world.ask("POST", f"/api/pages/{PAGE}/subscribe")).status == 202
    async with Redis.from_url(redis_url) as redis:
        [job_id] = await redis.zrange(queue.NOW, 0, -1)
        [job] = queue.decode(await redis.get(b"arq:job:" + job_id))["a"]
    assert job == queue.Subscribe(page=PAGE)
