"""A worker's sync engine against Facebook's simulator, a real Postgres and a real Valkey."""

import asyncio
import base64
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct

from deploy.simulator.config import Config
from deploy.simulator.simulator import Simulator
from deploy.simulator.truth import Conversation, Message
from deploy.simulator.updates import Update
from shared import config, events
from shared.cache import Cache
from shared.config import Secret, Settings
from shared.crypto import KeyRing
from shared.facebook.graph.client import connected
from shared.facebook.graph.limits import Budget, Priority
from shared.redis import connect
from shared.store import pages, runs
from shared.store.applying import apply
from shared.store.database import Database
from shared.store.runs import Run
from worker.effects import Effects
from worker.merge import reduce
from worker.outcome import Done, Snooze
from worker.retention import Retention
from worker.sync.asking import Graph
from worker.sync.modes import SyncModes
from worker.sync.step import Tools, take_step
from worker.sync.storing import Storing


@asynccontextmanager
async def worker_tools(settings: Settings) -> AsyncIterator[Tools]:
    """Build what a worker takes steps with."""
    store = Database(settings.database_url.reveal(), writer=True, high=4)
    redis = connect(settings.redis_url.reveal())
    retention = Retention(settings.message_retention)
    async with connected(
        url=settings.graph_api_url,
        version=settings.graph_api_version,
        app_id=settings.facebook_app_id,
        app_secret=settings.facebook_app_secrets[0],
    ) as client:
        try:
            yield Tools(
                database=store,
                graph=Graph(client, Budget(redis, settings.graph_page_calls_per_second)),
                keys=KeyRing(settings.token_encryption_keys),
                storing=Storing(store, Effects(Cache(redis)), retention),
                modes=SyncModes(store, settings, retention),
            )
        finally:
            await redis.aclose()
            await store.close()


@asynccontextmanager
async def opened(
    database: str, redis_url: str, simulated: Config | None = None, **overrides: str
) -> AsyncIterator["Desk"]:
    """Open a desk with a simulator of its own, whose Pages are added."""
    async with Simulator(simulated) as sim:
        environ = {
            "DATABASE_URL": database,
            "REDIS_URL": redis_url,
            "GRAPH_API_URL": sim.url,
            "FACEBOOK_APP_ID": sim.config.app_id,
            "FACEBOOK_APP_SECRET": sim.config.app_secret,
            "TOKEN_ENCRYPTION_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),
            "GRAPH_PAGE_CALLS_PER_SECOND": "0",
        } | {name.upper(): value for name, value in overrides.items()}
        async with worker_tools(config.load(environ, wants=())) as tools:
            desk = Desk(sim=sim, environ=environ, tools=tools)
            await desk.add_pages()
            yield desk


class Desk(Struct):
    """One deployment, driven by hand."""

    sim: Simulator
    environ: dict[str, str]
    tools: Tools

    @property
    def database(self) -> Database:
        return self.tools.database

    @property
    def keys(self) -> KeyRing:
        return self.tools.keys

    async def add_pages(self) -> None:
        """Add every Page of the simulator, without its Instagram account."""
        for page in self.sim.truth.pages.values():
            await self.renew_token(page.id, page.name)

    async def renew_token(self, page_id: str, name: str = "A Page") -> None:
        token = Secret(self.sim.tokens.of_page[page_id])
        await pages.add(
            self.database,
            facebook_page_id=page_id,
            name=name,
            instagram_id=None,
            token=self.keys.encrypt(token, page_id),
        )

    async def request(self, page_id: str, mode: runs.Mode = "incremental", **how: Any) -> Run:
        how.setdefault("priority", Priority.PEOPLE)
        run, _ = await runs.request(self.database, page_id, mode, **how)
        return run

    async def step(self, run: Run) -> Done | Snooze:
        return await take_step(self.tools, run.id)

    async def finish(self, run: Run, within: float = 30) -> Run:
        """Take steps until the run goes no further by itself."""
        async with asyncio.timeout(within):
            while isinstance(ending := await self.step(run), Snooze):
                await asyncio.sleep(max(0.0, ending.until.timestamp() - time.time()))
        return await runs.find(self.database, run.id)

    async def sync(self, page_id: str, mode: runs.Mode = "incremental", **how: Any) -> Run:
        return await self.finish(await self.request(page_id, mode, **how))

    async def history(self, page_id: str) -> Run:
        return await self.sync(page_id, "history", priority=Priority.HISTORY)

    async def fetch(self, sql: str, *values: object) -> list[Any]:
        async with self.database.connection() as connection:
            return await connection.fetch(sql, *values)

    async def value(self, sql: str, *values: object) -> Any:
        async with self.database.connection() as connection:
            return await connection.fetchval(sql, *values)

    async def stored_mids(self) -> dict[str, str | None]:
        """Every stored message and its text."""
        return {
            row["mid"]: row["text"] for row in await self.fetch("select mid, text from messages")
        }

    def true_mids(
        self, which: Callable[[Conversation], list[Message]] = lambda one: one.messages
    ) -> dict[str, str | None]:
        """Every message Graph would show, and its text."""
        return {
            message.mid: message.text
            for page in self.sim.truth.pages.values()
            for conversation in page.conversations()
            for message in which(conversation)
            if message.deleted_ms is None
        }

    def only_page(self) -> str:
        (page_id,) = self.sim.truth.pages
        return page_id


async def store_as_webhook(desk: Desk, update: Update) -> None:
    """Store a message as its webhook would have."""
    message = desk.sim.truth.messages[update.mid or ""]
    conversation = message.conversation
    told = events.Message(
        platform=conversation.platform,
        page_id=conversation.page.account(conversation.platform),
        participant_id=conversation.person.id,
        mid=message.mid,
        direction="in" if message.inbound else "out",
        source="message" if message.inbound else "echo",
        sent_ms=message.sent_ms,
        exact=True,
        as_of_ms=message.sent_ms,
        text=message.text,
    )
    await apply(desk.database, reduce([told]))


def newest(count: int) -> Callable[[Conversation], list[Message]]:
    """Pick the newest messages of a conversation."""

    def pick(conversation: Conversation) -> list[Message]:
        return [m for m in conversation.messages if m.deleted_ms is None][-count:]

    return pick
