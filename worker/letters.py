"""Brings dead letters back: their bytes enter the backlog again, as they once came."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

from shared.backlog.envelope import Envelope, Origin, pack
from shared.backlog.inbox import Inbox
from shared.store import dead
from shared.store.database import Database
from shared.store.dead import Taken


class Letters:
    """Returns letters to the backlog; a crash in between repeats some and loses none."""

    def __init__(self, database: Database, inbox: Inbox) -> None:
        self._database = database
        self._inbox = inbox

    async def apply_waiting(self, page: str | None = None) -> int:
        """Return what waited for a Page that is known by now; return how many letters."""
        return await self._again(lambda after: dead.waiting(self._database, page=page, after=after))

    async def _again(self, take: Callable[[int], Awaitable[list[Taken]]]) -> int:
        done, after = 0, 0
        while letters := await take(after):
            origin = Origin("dead-letters", uuid4().hex, 0)
            envelopes = [Envelope("webhook", one.received_ms, one.bytes) for one in letters]
            await self._inbox.append(pack(origin, envelopes))
            await dead.retried(self._database, letters)
            done, after = done + len(letters), letters[-1].id
        return done
