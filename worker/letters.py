"""Brings dead letters back: their bytes enter the backlog or the queue again, as they once came."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

from shared.backlog.envelope import Envelope, Origin, pack
from shared.backlog.inbox import Inbox
from shared.errors import Unreadable
from shared.queue import Queue, RetryDead, decode_again
from shared.store import dead
from shared.store.database import Database
from shared.store.dead import Taken


class Letters:
    """Returns letters to where they came from; a crash in between repeats some and loses none."""

    def __init__(self, database: Database, inbox: Inbox, queue: Queue) -> None:
        self._database = database
        self._inbox = inbox
        self._queue = queue

    async def apply_waiting(self, page: str | None = None) -> int:
        """Return what waited for a Page that is known by now; return how many letters."""
        return await self._again(lambda after: dead.waiting(self._database, page=page, after=after))

    async def retry(self, asked: RetryDead) -> int:
        """Return what a person asked for; return how many letters. What nobody can do stays."""
        return await self._again(
            lambda after: dead.take(
                self._database,
                ids=asked.ids,
                reason=asked.reason,
                page_ids=asked.page_ids,
                after=after,
            )
        )

    async def _again(self, take: Callable[[int], Awaitable[list[Taken]]]) -> int:
        done, after = 0, 0
        while letters := await take(after):
            jobs = [one for one in letters if one.source == "job"]
            returned = [one for one in letters if one.source != "job"]
            if returned:
                origin = Origin("dead-letters", uuid4().hex, 0)
                envelopes = [Envelope("webhook", one.received_ms, one.bytes) for one in returned]
                await self._inbox.append(pack(origin, envelopes))
            returned += [one for one in jobs if await self._queued(one)]
            await dead.retried(self._database, returned)
            done, after = done + len(returned), letters[-1].id
        return done

    async def _queued(self, letter: Taken) -> bool:
        try:
            await self._queue.put(decode_again(letter.object or "", letter.bytes))
        except Unreadable:
            return False
        return True
