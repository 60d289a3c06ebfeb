"""What whoever has a key, or none, can do to the others who have one."""

import asyncio

import pytest

from ingress.api import streams
from ingress.api.streams import Rhythm
from tests.integration.api.world import PAGE, World, message


@pytest.fixture
def rhythm() -> Rhythm:
    """Who has gone is noticed soon."""
    return Rhythm(heartbeat=0.1)


async def test_one_key_cannot_take_all_connections_for_its_streams(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_OF_A_KEY", 3)
    headers = {"Authorization": f"Bearer {world.keys['read']}"}
    opened = [await world.http.get("/api/live", headers=headers) for _ in range(3)]
    assert [answer.status for answer in opened] == [200] * 3
    assert (await world.ask("GET", "/api/live", "read")).status == 429
    for answer in opened:
        answer.close()
    others = await world.http.get(
        "/api/live", headers={"Authorization": f"Bearer {world.keys['admin']}"}
    )
    assert others.status == 200
    others.close()

    async def may_again() -> bool:
        answer = await world.http.get("/api/live", headers=headers)
        answer.close()
        return answer.status == 200

    await world.until(may_again)


async def test_a_session_that_somebody_planted_is_not_taken_over(world: World) -> None:
    """Signing in makes a session of its own, whatever cookie the browser was given before."""
    planted = {"Cookie": "pagewire=planted-by-somebody"}
    answer = await world.http.post(
        "/api/session", json={"key": world.keys["read"]}, headers=planted
    )
    assert answer.status == 204
    assert "planted-by-somebody" not in answer.headers["Set-Cookie"]
    assert await world.rows("select count(*) from sessions") == [(1,)]
    world.http.cookie_jar.clear()
    assert (await world.ask("GET", "/api/session", "", headers=planted)).status == 401


@pytest.mark.parametrize(
    "evil",
    [
        "'; drop table messages; --",
        "1' or '1'='1",
        "$1",
        "%00",
        "a:* | !b & (c",
        "\\' & \\",
        "\r\nSET pagewire:x 1\r\n",
        "{0}{__class__}",
        "*",
        "\u202e\ud7ff",
    ],
)
async def test_no_word_of_a_question_is_taken_for_a_command(world: World, evil: str) -> None:
    """Neither by Postgres, nor by its search, nor by Redis."""
    await world.happen(message(1, text="hello"))
    for name in ("q", "tag", "pageId", "cursor"):
        reply = await world.ask("GET", "/api/conversations", params={name: evil})
        assert reply.status in {200, 400, 404}, (name, reply.body)
        if reply.status == 200:
            assert reply.body["data"] == []
    for path in ("conversations", "jobs", "pages", "dead"):
        reply = await world.ask("GET", f"/api/{path}/" + evil.replace("/", ""))
        assert reply.status in {400, 404, 405}, reply.body
    assert await world.rows("select mid from messages") == [("m_1",)]


async def test_two_keys_never_get_each_others_cached_answer(world: World) -> None:
    """Who may see what is part of what an answer is kept under."""
    await world.happen(message(1))
    asks = ("/api/conversations", f"/api/conversations?pageId={PAGE}")
    for _ in range(2):
        for path in asks:
            ours, theirs = await asyncio.gather(
                world.ask("GET", path, "acme"), world.ask("GET", path, "other")
            )
            assert len(ours.body["data"]) == 1
            assert theirs.status == 404 or theirs.body["data"] == []


async def test_a_key_that_is_nearly_right_is_as_wrong_as_any(world: World) -> None:
    """One answer for all: it does not tell which part is right, or whether there was such a key."""
    right = world.keys["read"]
    wrong = [right[:-1] + ("0" if right[-1] != "0" else "1"), right[:20], right + "0", "pw_live_x"]
    told = [await world.ask("GET", "/api/pages", key) for key in wrong]
    assert {reply.status for reply in told} == {401}
    assert len({str(reply.body) for reply in told}) == 1
