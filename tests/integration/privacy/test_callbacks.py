"""Facebook's callbacks about people: kept once, done where we know who is meant, never guessed."""

import base64
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from ingress.privacy import setup_privacy
from shared import config, metrics
from shared.backlog.envelope import confirmation_code
from tests.integration.privacy.world import OTHER, PAGE, PERSON, WORDS, World, body, message


def signed_request(user_id: str = "218471", at: int = 1_764_000_000) -> bytes:
    payload = {"algorithm": "HMAC-SHA256", "user_id": user_id, "issued_at": at}
    encoded = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=")
    return b"c2lnbmF0dXJl." + encoded


def counted(kind: str, status: str) -> float:
    return metrics.privacy_requests.labels(kind, status)._value.get()


@pytest.fixture
async def public(
    world: World, database: str, redis_url: str
) -> AsyncIterator[aiohttp.ClientSession]:
    app = web.Application()
    environ = {"DATABASE_URL": database, "REDIS_URL": redis_url}
    setup_privacy(app, config.load(environ, wants=()))
    async with TestServer(app) as server, aiohttp.ClientSession(server.make_url("/")) as http:
        yield http


async def status(http: aiohttp.ClientSession, code: str) -> tuple[int, str]:
    async with http.get(f"/api/webhook/data-deletion/{code}") as answer:
        return answer.status, await answer.text()


async def test_an_app_scoped_id_is_never_taken_for_a_persons(
    world: World, public: aiohttp.ClientSession
) -> None:
    """Even if both are the same number: nothing is erased, and a person is told to look."""
    await world.receive(body(message(PERSON, 1)))
    request, before = signed_request(PERSON), counted("data_deletion", "unresolved")
    for _ in range(2):
        await world.receive(request, kind="data_deletion")
    await world.erasures.answer()
    assert await world.rows("select kind, user_id, status from privacy_requests") == [
        ("data_deletion", PERSON, "unresolved")
    ]
    assert "messages" in await world.holding(WORDS)
    assert counted("data_deletion", "unresolved") == before + 1
    assert await world.rows("select action from audit") == [("data_deletion",)]
    said, text = await status(public, confirmation_code(request))
    assert (said, "looking" in text) == (200, True)


async def test_a_user_we_know_is_erased_at_every_page(
    world: World, public: aiohttp.ClientSession
) -> None:
    await world.receive(body(message(PERSON, 1)), body(message(OTHER, 1, "other")))
    await world.rows("insert into app_users values ('218471', $1, $2)", PAGE, PERSON)
    request = signed_request()
    await world.receive(request, kind="data_deletion")
    code = confirmation_code(request)
    assert "about to" in (await status(public, code))[1]
    await world.erasures.answer()
    await world.erasures.answer()
    assert (await world.holding(WORDS), await world.holding(PERSON)) == ([], [])
    assert "messages" in await world.holding(OTHER)
    assert "has been erased" in (await status(public, code))[1]
    assert await world.rows("select action from audit order by id") == [
        ("data_deletion",),
        ("erase",),
        ("data_deletion_done",),
    ]


async def test_a_deauthorization_is_recorded_and_touches_nothing(world: World) -> None:
    await world.receive(body(message(PERSON, 1)))
    before = counted("deauthorize", "recorded")
    for _ in range(2):
        await world.receive(signed_request(), kind="deauthorize")
    await world.erasures.answer()
    assert await world.rows("select kind, status from privacy_requests") == [
        ("deauthorize", "recorded")
    ]
    assert counted("deauthorize", "recorded") == before + 1
    assert await world.rows("select action from audit") == [("deauthorize",)]
    assert await world.rows("select status from facebook_pages") == [("active",)]


@pytest.mark.parametrize(
    "forged",
    [b"", b"\xff", b"no-dot", b"a.b", b"a.bnVsbA", signed_request("\0"), signed_request("")],
)
async def test_a_callback_nobody_can_read_is_kept_for_a_person(world: World, forged: bytes) -> None:
    """The door lets none in; whoever writes to Redis may."""
    await world.receive(forged, body(message(PERSON, 1)), kind="data_deletion")
    assert await world.rows("select 1 from privacy_requests") == []
    assert len(await world.rows("select 1 from dead_letters where reason = 'unreadable'")) == 2


async def test_strangers_learn_nothing_from_the_status_page(public: aiohttp.ClientSession) -> None:
    assert (await status(public, "0" * 24))[0] == 404
    assert (await status(public, "0" * 23))[0] == 404
    assert (await status(public, "..%2f..%2fx"))[0] == 404
