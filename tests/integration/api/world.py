"""What tests of the API are told with: the API on a port, and hands for people and workers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import aiohttp
from msgspec import Struct

from ingress.api import Api
from ingress.listen import Listener
from shared import events
from shared.events import Event
from shared.store.applying import apply
from shared.store.database import Database
from worker.effects import Effects
from worker.merge import reduce

PAGE, INSTAGRAM, OTHER = "1001", "17841000000000001", "2002"
NOW_MS = 1_764_000_000_000


class Reply(Struct, frozen=True):
    """An answer, read whole."""

    status: int
    headers: Any
    body: Any


class World(Struct):
    """An API on a port of its own, and hands to do with it what people and workers do."""

    server: Listener
    url: str
    api: Api
    http: aiohttp.ClientSession
    database: Database
    effects: Effects
    keys: dict[str, str]

    async def ask(self, method: str, path: str, key: str = "admin", **given: Any) -> Reply:
        headers = {"Authorization": f"Bearer {self.keys.get(key, key)}"} if key else {}
        headers |= given.pop("headers", {})
        async with self.http.request(method, path, headers=headers, **given) as answer:
            is_json = answer.content_type.endswith("json")
            body = await (answer.json(content_type=None) if is_json else answer.text())
            return Reply(answer.status, answer.headers, body)

    async def get(self, path: str, key: str = "admin", **query: Any) -> Any:
        """Return the body of an answer that is as it should be."""
        reply = await self.ask("GET", path, key, params=query)
        assert reply.status == 200, reply.body
        return reply.body

    async def happen(self, *told: Event) -> None:
        """Write what a worker would write of these events, and tell it."""
        applied = await apply(self.database, reduce(told))
        await self.effects.follow(applied, again=False)

    async def park(self, page: UUID, reason: str) -> None:
        """Park a Page, as a worker does whose token was refused."""
        sql = "update facebook_pages set status = 'parked', status_reason = $2 where id = $1"
        await self.rows(sql, page, reason)

    async def rows(self, sql: str, *values: object) -> list[Any]:
        async with self.database.connection() as connection:
            return [tuple(row) for row in await connection.fetch(sql, *values)]

    async def follows(self) -> bool:
        """Whether the API has begun to look at the feed: from then on it tells every change."""
        return self.api._hub._position is not None

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(10):
            while not await condition():
                await asyncio.sleep(0.01)


def message(number: int, person: str = "person-1", **other: Any) -> events.Message:
    """The message `m_<number>`, sent so many seconds after NOW_MS."""
    at = NOW_MS + number * 1000
    told = {
        "platform": "messenger",
        "page_id": PAGE,
        "participant_id": person,
        "mid": f"m_{number}",
        "direction": "in",
        "source": "message",
        "sent_ms": at,
        "exact": True,
        "as_of_ms": at,
        "text": f"text {number}",
    }
    return events.Message(**(told | other))
