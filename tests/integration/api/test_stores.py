"""Which store a read asks, and what happens while one of them is away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Never

import pytest

from shared.errors import Unavailable
from shared.store.database import Database
from tests.integration.api.test_live import following
from tests.integration.api.world import World, message


class Away(Database):
    """A Postgres that does not answer."""

    def connection(self, wait: float = 10) -> Never:
        raise Unavailable


@asynccontextmanager
async def counted(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[int]]:
    """Count the connections that are lent out."""
    lent: list[int] = []
    lend = database.connection

    def connection(wait: float = 10) -> object:
        lent.append(1)
        return lend(wait)

    with monkeypatch.context() as patch:
        patch.setattr(database, "connection", connection)
        yield lent


async def test_what_was_read_before_is_answered_without_a_query(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.happen(message(1))
    [one] = (await world.get("/api/conversations"))["data"]
    paths = [
        "/api/conversations", f"/api/conversations/{one['id']}",
        f"/api/conversations/{one['id']}/messages",
    ]  # fmt: skip
    before = [await world.get(path) for path in paths]
    # The feed is looked at in the background, not for a reader.
    monkeypatch.setattr(world.api._hub, "_database", world.database)
    monkeypatch.setattr(world.api.ops, "_database", world.database)
    async with counted(world.api.database, monkeypatch) as lent:
        assert [await world.get(path) for path in paths] == before
    assert lent == []


async def test_only_further_slices_and_searches_are_read_from_a_replica(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.happen(message(1), message(2), message(3, "person-2"))
    conversations = world.api.resources[0]
    monkeypatch.setattr(conversations, "_replica", Away("postgresql://away"))
    listed = await world.get("/api/conversations", limit=1)
    [_, one] = (await world.get("/api/conversations"))["data"]
    path = f"/api/conversations/{one['id']}/messages"
    thread = await world.get(path, limit=1)
    for query in (
        ("/api/conversations", {"cursor": listed["nextCursor"]}),
        ("/api/conversations", {"q": "text"}),
        (path, {"cursor": thread["nextCursor"]}),
    ):
        reply = await world.ask("GET", query[0], params=query[1])
        assert reply.status == 503
        assert reply.headers["Retry-After"] == "1"


async def test_while_postgres_is_away_a_client_is_told_to_try_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.get("/api/conversations")
    monkeypatch.setattr(world.api.resources[0], "_database", Away("postgresql://away"))
    await world.happen(message(1))
    reply = await world.ask("GET", "/api/conversations")
    assert reply.status == 503
    assert reply.body["error"]


class TestWithoutRedis:
    """Nothing listens where the cache should be."""

    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"CACHE_REDIS_URL": "unix:///nowhere/redis.sock"}

    async def test_everything_is_read_and_followed_all_the_same(self, world: World) -> None:
        async with following(world) as stream:
            await world.happen(message(1))
            [change] = await stream.changes(1)
        [one] = (await world.get("/api/conversations"))["data"]
        assert one["id"] == change["conversationId"]
        for name in ("vip", "later"):
            tagged = await world.ask("PUT", f"/api/conversations/{one['id']}/tags/{name}")
            assert {"name": name, "source": "local"} in tagged.body["tags"]
        assert (await world.ask("GET", "/readyz", "")).body["cache"] == "memory"
