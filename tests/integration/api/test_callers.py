"""Who may ask, and what they get to see."""

from datetime import UTC, datetime, timedelta

import pytest

from ingress.api import callers
from ingress.api.routes import JSON, routes_of
from shared.store import keys
from shared.store.applying import insert_dead_letters
from shared.store.rows import DeadLetter
from tests.integration.api.world import OTHER, PAGE, World, message


@pytest.fixture
def _keys_are_asked_for_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "FRESH", 0)


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer nobody's",
        "Basic eDp5",
        "Bearer pw_live_\udcff",
        "Bearer " + "x" * 5000,
    ],
)
async def test_without_a_valid_key_the_answer_is_401(world: World, authorization: str) -> None:
    headers = {"Authorization": authorization}
    reply = await world.ask("GET", "/api/conversations", key="", headers=headers)
    assert reply.status == 401
    assert reply.headers["Content-Type"].startswith("application/problem+json")
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert reply.body["status"] == 401
    assert reply.body["error"] == reply.body["detail"]


async def test_a_scope_includes_the_lesser_ones_and_no_other(world: World) -> None:
    new = {"facebookPageId": "3003", "name": "New"}
    for key, sync, add in (("read", 403, 403), ("sync", 202, 403), ("admin", 202, 201)):
        assert (await world.ask("GET", "/api/pages", key)).status == 200
        reply = await world.ask("POST", "/api/conversations/sync-all?wait=0", key)
        assert reply.status == sync
        assert (await world.ask("POST", "/api/pages", key, json=new)).status == add


@pytest.mark.usefixtures("_keys_are_asked_for_again_at_once")
async def test_a_revoked_or_expired_key_is_refused(world: World) -> None:
    key, secret = await keys.create(
        world.database, name="brief", scope="read", pages=None, expires=None
    )
    assert (await world.ask("GET", "/api/pages", secret.reveal())).status == 200
    await keys.revoke(world.database, str(key.id))
    assert (await world.ask("GET", "/api/pages", secret.reveal())).status == 401
    soon = datetime.now(UTC) + timedelta(minutes=1)
    key, secret = await keys.create(
        world.database, name="brief", scope="read", pages=None, expires=soon
    )
    assert (await world.ask("GET", "/api/pages", secret.reveal())).status == 200
    await world.rows("update api_keys set expires_at = now() where id = $1 returning 1", key.id)
    assert (await world.ask("GET", "/api/pages", secret.reveal())).status == 401


async def test_a_foreign_page_is_as_good_as_none(world: World) -> None:
    """Everything that can be asked about a Page, a conversation, a job or a letter by its id."""
    await world.happen(message(1), message(2, page_id=OTHER))
    pages = {one["facebookPageId"]: one["id"] for one in (await world.get("/api/pages"))["data"]}
    listed = (await world.get("/api/conversations"))["data"]
    ids = {one["pageId"]: one["id"] for one in listed}
    await world.ask("POST", "/api/conversations/sync?wait=0", json={"pageId": PAGE})
    batch = (await world.ask("POST", "/api/conversations/sync-all?wait=0", "acme")).body
    await letter(world, PAGE)
    [dead] = (await world.get("/api/dead"))["data"]
    foreign = {
        "/conversations/{id}": {"id": ids[PAGE], "name": "x"},
        "/pages/{id}": {"id": pages[PAGE]},
        "/jobs/{jobId}": {"jobId": batch["jobId"]},
        "/dead/{id}": {"id": dead["id"]},
    }
    given = {
        ("PATCH", "/pages/{id}"): {"name": "Mine"},
        ("POST", "/conversations/sync"): {"pageId": pages[PAGE]},
    }
    for route in routes_of(world.api.resources):
        query = f"?pageId={PAGE}" if hasattr(route.query_type, "page_id") else ""
        names = next((foreign[one] for one in foreign if route.path.startswith(one)), {})
        path = f"/api{route.path}{query}"
        for name, value in names.items():
            path = path.replace(f"{{{name}}}", str(value))
        body = given.get((route.method, route.path))
        if not (names or query or body):
            continue
        reply = await world.ask(route.method, path, "other", json=body)
        assert reply.status == 404, (route.method, path)
        assert reply.body["status"] == 404
        if route.content_type == JSON:
            own = await world.ask(route.method, path, "read", json=body)
            assert own.status == (200 if route.scope == "read" else 403), (route.method, path)
    new = {"facebookPageId": PAGE, "name": "Mine"}
    assert (await world.ask("POST", "/api/pages", "other", json=new)).status == 403


async def test_a_list_holds_what_a_key_may_see(world: World) -> None:
    await world.happen(message(1), message(2, page_id=OTHER))
    await letter(world, PAGE)
    await letter(world, OTHER)
    both = (await world.ask("POST", "/api/conversations/sync-all?wait=0")).body
    [one] = (await world.get("/api/conversations", "other"))["data"]
    assert one["pageId"] == OTHER
    assert [one["name"] for one in (await world.get("/api/pages", "other"))["data"]] == ["Other"]
    assert [one["pageId"] for one in (await world.get("/api/dead", "other"))["data"]] == [OTHER]
    assert (await world.get(f"/api/jobs/{both['jobId']}", "other"))["mode"] == "all"


async def letter(world: World, page_id: str) -> None:
    one = DeadLetter(
        source="webhook", reason="unreadable", error="why", object="page", page_id=page_id,
        bytes=page_id.encode(), received_ms=1,
    )  # fmt: skip
    async with world.database.transaction() as connection:
        await insert_dead_letters(connection, [one])


async def test_a_browser_signs_in_changes_things_from_its_own_page_and_signs_out(
    world: World,
) -> None:
    await world.happen(message(1))
    origin = {"Origin": world.url}
    signed = await world.ask("POST", "/api/session", "", json={"key": world.keys["acme"]})
    assert signed.status == 204
    cookie = signed.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert world.keys["acme"] not in cookie
    who = await world.get("/api/session", "")
    assert (who["name"], who["scope"], who["pages"]) == ("acme", "admin", [PAGE])
    assert who["expiresAt"].endswith("Z")
    [one] = (await world.get("/api/conversations", ""))["data"]
    path = f"/api/conversations/{one['id']}/seen"
    for headers in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        assert (await world.ask("PUT", path, "", headers=headers)).status == 403
    assert (await world.ask("PUT", path, "", headers=origin)).status == 200
    foreign = {"Origin": "https://evil.example"}
    key = {"key": world.keys["acme"]}
    assert (await world.ask("POST", "/api/session", "", json=key, headers=foreign)).status == 403
    kept = {"Cookie": cookie.partition(";")[0]}
    assert (await world.ask("DELETE", "/api/session", "", headers=origin)).status == 204
    assert (await world.ask("GET", "/api/session", "")).status == 401
    assert (await world.ask("GET", "/api/session", "", headers=kept)).status == 401


@pytest.mark.usefixtures("_keys_are_asked_for_again_at_once")
async def test_a_session_ends_with_its_key(world: World) -> None:
    key, secret = await keys.create(
        world.database, name="brief", scope="read", pages=None, expires=None
    )
    await world.ask("POST", "/api/session", "", json={"key": secret.reveal()})
    assert (await world.ask("GET", "/api/session", "")).status == 200
    await keys.revoke(world.database, str(key.id))
    assert (await world.ask("GET", "/api/session", "")).status == 401
    again = await world.ask("POST", "/api/session", "", json={"key": secret.reveal()})
    assert again.status == 401


@pytest.mark.parametrize("host", ["pagewire.example", "::::", "localhost.evil.example", "a:b"])
async def test_a_key_does_not_cross_a_network_in_the_clear(world: World, host: str) -> None:
    headers = {"Host": host}
    body = {"key": world.keys["acme"]}
    reply = await world.ask("POST", "/api/session", "", json=body, headers=headers)
    assert reply.status == 400
    assert "HTTPS" in reply.body["error"]


async def test_another_site_may_neither_read_nor_frame_the_api(world: World) -> None:
    reply = await world.ask("GET", "/api/pages", headers={"Origin": "https://evil.example"})
    assert not [name for name in reply.headers if name.startswith("Access-Control")]
    assert "frame-ancestors 'none'" in reply.headers["Content-Security-Policy"]
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    preflight = await world.ask("OPTIONS", "/api/pages", "")
    assert preflight.status == 405
    assert preflight.headers["Content-Type"].startswith("application/problem+json")
