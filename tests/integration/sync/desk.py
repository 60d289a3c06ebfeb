"""A worker's sync engine against Facebook's simulator, a real Postgres and a real Valkey."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from deploy.simulator.simulator import Simulator
from deploy.simulator.truth import Conversation, Message
from deploy.simulator.updates import Update
from shared import config, events
from shared.config import Secret, Settings
from shared.crypto import KeyRing
from shared.facebook.limits import Priority
from shared.store import pages, runs
from shared.store.applying import apply
from shared.store.database import Database
from shared.store.runs import Run
from worker.merge import reduce
from worker.outcome import Done, Snooze
from worker.sync.step import Tools, take_step


def settings(**overrides: str) -> Settings:
    environ = {name.upper(): value for name, value in overrides.items()}
    return config.load(environ, wants=())


class Desk(Struct):
    """One deployment, driven by hand."""

    sim: Simulator
    database: Database
    tools: Tools
    keys: KeyRing

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
