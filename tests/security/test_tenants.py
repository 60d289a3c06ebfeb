"""Every endpoint, asked with the key of another Page: nothing is told, nothing is changed."""

from typing import Any

import aiohttp
import pytest
from msgspec import Struct

from ingress.api.routes import Route, routes_of
from shared import events
from shared.ids import conversation_id
from tests.integration.api.world import NOW_MS, PAGE, World, message

SECRETS = ("Acme", "Wanda Winter", "text 1", "person-1", "VIP")


class Ask(Struct, frozen=True):
    """What somebody else asks about our Page, and the statuses that answer it."""

    path: str
    statuses: tuple[int, ...] = (404,)
    body: Any = None


# `{…}` stands for our Page's own: a conversation, the Page, a job.
MATRIX: dict[tuple[str, str], list[Ask]] = {
    ("GET", "/conversations"): [
        Ask("/conversations", (200,)),
        Ask("/conversations?pageId={page}"),
        Ask("/conversations?q=text", (200,)),
        Ask("/conversations?tag=VIP", (200,)),
    ],
    ("GET", "/conversations/{id}"): [Ask("/conversations/{conversation}")],
    ("GET", "/conversations/{id}/messages"): [Ask("/conversations/{conversation}/messages")],
    ("PUT", "/conversations/{id}/tags/{name}"): [Ask("/conversations/{conversation}/tags/x")],
    ("DELETE", "/conversations/{id}/tags/{name}"): [Ask("/conversations/{conversation}/tags/VIP")],
    ("PUT", "/conversations/{id}/seen"): [Ask("/conversations/{conversation}/seen")],
    ("POST", "/conversations/sync"): [
        Ask("/conversations/sync?wait=0", body={"pageId": "{page}"}),
        Ask("/conversations/sync?wait=0", body={"pageId": PAGE}),
    ],
    ("POST", "/conversations/sync-all"): [Ask("/conversations/sync-all?wait=0", (202,))],
    ("GET", "/jobs/{jobId}"): [Ask("/jobs/{job}")],
    ("GET", "/jobs/{jobId}/events"): [Ask("/jobs/{job}/events")],
    ("GET", "/live"): [Ask("/live?pageId={page}")],
    ("GET", "/pages"): [Ask("/pages", (200,))],
    ("GET", "/pages/{id}"): [Ask("/pages/{page}"), Ask("/pages/" + PAGE)],
    ("POST", "/pages"): [
        Ask("/pages", (403,), {"facebookPageId": PAGE, "name": "Mine", "accessToken": "t"})
    ],
    ("PATCH", "/pages/{id}"): [Ask("/pages/{page}", body={"name": "Mine"})],
    ("DELETE", "/pages/{id}"): [Ask("/pages/{page}"), Ask("/pages/{page}?purge=true")],
    ("POST", "/pages/{id}/subscribe"): [Ask("/pages/{page}/subscribe")],
    ("GET", "/dead"): [Ask("/dead", (200,))],
    ("POST", "/dead/{id}/retry"): [Ask("/dead/{letter}/retry")],
    ("POST", "/dead/{id}/discard"): [Ask("/dead/{letter}/discard")],
    ("POST", "/dead/retry"): [Ask("/dead/retry", (202,), {"reason": "refused"})],
    ("POST", "/dead/discard"): [Ask("/dead/discard", (200,), {"reason": "refused"})],
    ("GET", "/ops"): [Ask("/ops", (403,))],
    ("GET", "/ops/history"): [Ask("/ops/history", (403,))],
    ("GET", "/ops/events"): [Ask("/ops/events", (403,))],
    ("GET", "/session"): [Ask("/session", (200,))],
    ("DELETE", "/session"): [Ask("/session", (204,))],
}

# Told to everybody, and the same to all.
OF_NOBODY = {("POST", "/session")}


def routes(world: World) -> list[Route]:
    return routes_of(world.api.resources)


@pytest.fixture
async def ours(world: World) -> dict[str, str]:
    """Our Page's things, by the words that stand for them."""
    label = events.Label(
        platform="messenger",
        page_id=PAGE,
        participant_id="person-1",
        label_id="7",
        name="VIP",
        at_ms=NOW_MS,
        active=True,
    )
    thread = events.Thread(
        platform="messenger",
        page_id=PAGE,
        participant_id="person-1",
        thread_id="t_1",
        as_of_ms=NOW_MS,
        participant_name="Wanda Winter",
    )
    await world.happen(message(1), label, thread)
    (letter,) = await world.rows(
        "insert into dead_letters (digest, source, reason, error, page_id, bytes, received_ms)"
        " values ('d', 'webhook', 'refused', 'no', $1, 'text 1', 1) returning id",
        PAGE,
    )
    (page,) = await world.rows("select id from facebook_pages where facebook_page_id = $1", PAGE)
    asked = await world.ask("POST", "/api/conversations/sync?wait=0", "acme", json={"pageId": PAGE})
    assert asked.status == 202
    return {
        "page": str(page[0]),
        "conversation": str(conversation_id(PAGE, "person-1")),
        "job": asked.body["jobId"],
        "letter": str(letter[0]),
    }


async def test_no_key_reaches_for_rows_through_the_account_of_its_own_page(
    world: World, ours: dict[str, str]
) -> None:
    """A Page's account is what its key sees, too: it must not be made somebody else's Page."""
    (mine,) = (await world.get("/api/pages", "other"))["data"]
    for theirs in (PAGE, "17841400000009999"):
        link = {"instagramId": theirs}
        for method, path, more in (
            ("PATCH", f"/api/pages/{mine['id']}", {}),
            ("POST", "/api/pages", {"facebookPageId": mine["facebookPageId"], "name": "Mine"}),
        ):
            reply = await world.ask(method, path, "other", json=link | more)
            assert reply.status == 403, reply.body
    reply = await world.ask(
        "PATCH", f"/api/pages/{mine['id']}", "admin", json={"instagramId": PAGE}
    )
    assert reply.status == 409, reply.body
    assert (await world.get("/api/conversations", "other"))["data"] == []


async def stored(world: World) -> list[Any]:
    """Everything of our Page that somebody could have changed."""
    return [
        await world.rows("select p::text from facebook_pages p where facebook_page_id = $1", PAGE),
        await world.rows("select c::text from conversations c where page_id = $1", PAGE),
        await world.rows("select c::text from conversation_tags c where page_id = $1", PAGE),
        await world.rows("select id from sync_runs where page_id = $1", PAGE),
        await world.rows("select d::text from dead_letters d where page_id = $1", PAGE),
    ]


async def test_every_endpoint_is_in_the_matrix(world: World) -> None:
    """Whoever adds an endpoint says here what another Page's key gets from it."""
    assert {(route.method, route.path) for route in routes(world)} == MATRIX.keys() | OF_NOBODY
    assert {
        key
        for route in routes(world)
        if route.scope is None
        for key in [(route.method, route.path)]
    } == OF_NOBODY


async def test_our_own_key_sees_what_a_foreign_one_must_not(
    world: World, ours: dict[str, str]
) -> None:
    """Otherwise the matrix would look for what is nowhere to be found."""
    told = str([await world.get(f"/api{path}", "acme") for path in ("/pages", "/conversations")])
    path = f"/api/conversations/{ours['conversation']}/messages"
    told += str(await world.get(path, "acme"))
    assert [word for word in SECRETS if word not in told] == []


@pytest.mark.parametrize("endpoint", MATRIX, ids=" ".join)
async def test_a_foreign_key_gets_nothing(
    world: World, ours: dict[str, str], endpoint: tuple[str, str]
) -> None:
    before = await stored(world)
    for ask in MATRIX[endpoint]:
        body = ask.body and {name: value.format(**ours) for name, value in ask.body.items()}
        # A stream that opens would never end.
        given: dict[str, Any] = {"timeout": aiohttp.ClientTimeout(total=10)}
        if body:
            given["json"] = body
        path = f"/api{ask.path.format(**ours)}"
        for key, statuses in (("other", ask.statuses), ("", (401,)), ("nobody's", (401,))):
            reply = await world.ask(endpoint[0], path, key, **given)
            assert reply.status in statuses, (path, key, reply.body)
            assert [word for word in SECRETS if word in f"{reply.headers}{reply.body}"] == []
    assert await stored(world) == before
