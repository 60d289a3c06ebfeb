"""Dead letters over HTTP: what could not become rows, until a person decides."""

from typing import Annotated

from msgspec import Meta

from ingress.api import cursors
from ingress.api.callers import Caller
from ingress.api.cursors import Cursor
from ingress.api.problems import Problem
from ingress.api.routes import Answer, Limit, Name, endpoint
from ingress.api.shapes import Asked, Discarded, Letter, LetterGroup, LetterSlice
from shared.queue import NOW, Queue, RetryDead
from shared.store import dead
from shared.store.database import Database
from shared.store.reading import LAST_MS, Place


class LetterPath(Asked):
    """A letter's id."""

    id: Annotated[int, Meta(ge=1, le=LAST_MS)]


class Letters(Asked):
    """Which letters."""

    reason: Name | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class Reason(Asked):
    """All open letters of a reason."""

    reason: Name


class DeadLetters:
    """Dead letters."""

    def __init__(self, database: Database, queue: Queue) -> None:
        self._database = database
        self._queue = queue

    @endpoint("GET", "/dead", scope="read")
    async def listing(self, caller: Caller, query: Letters) -> LetterSlice:
        """List the open dead letters, the newest first, and how many there are by reason."""
        after = cursors.read("dead", query.cursor)
        groups = await dead.groups(self._database, page_ids=caller.page_ids)
        found = await dead.listing(
            self._database,
            reason=query.reason,
            page_ids=caller.page_ids,
            before=after.ms if after else None,
            limit=query.limit + 1,
        )
        shown = found[: query.limit]
        place = Place(shown[-1].id, "") if len(found) > query.limit else None
        return LetterSlice(
            groups=[
                LetterGroup(
                    reason=group.reason,
                    count=group.count,
                    oldest=group.oldest,
                    newest=group.newest,
                )
                for group in groups
            ],
            data=[_letter(one) for one in shown],
            next_cursor=cursors.write("dead", place),
        )

    @endpoint("POST", "/dead/{id}/retry", scope="admin", answers={202: None})
    async def retry(self, caller: Caller, path: LetterPath) -> Answer[None]:
        """Put a letter back to where it came from, to be tried again."""
        await self._require_open(caller, path)
        return await self._retry(RetryDead(ids=[path.id], page_ids=caller.page_ids))

    @endpoint("POST", "/dead/{id}/discard", scope="admin")
    async def discard(self, caller: Caller, path: LetterPath) -> Discarded:
        """Decide that a letter needs nothing: it is kept, and no longer listed."""
        await self._require_open(caller, path)
        count = await dead.discard(self._database, ids=[path.id], page_ids=caller.page_ids)
        return Discarded(count=count)

    @endpoint("POST", "/dead/retry", scope="admin", answers={202: None})
    async def retry_all(self, caller: Caller, body: Reason) -> Answer[None]:
        """Put all letters of a reason back to where they came from, to be tried again."""
        return await self._retry(RetryDead(reason=body.reason, page_ids=caller.page_ids))

    @endpoint("POST", "/dead/discard", scope="admin")
    async def discard_all(self, caller: Caller, body: Reason) -> Discarded:
        """Decide that all letters of a reason need nothing."""
        count = await dead.discard(self._database, reason=body.reason, page_ids=caller.page_ids)
        return Discarded(count=count)

    async def _require_open(self, caller: Caller, path: LetterPath) -> None:
        """Raise NotFound for a letter there is not, and a 409 Problem for a settled one."""
        letter, _ = await dead.show(self._database, path.id, page_ids=caller.page_ids)
        if letter.resolved_at is not None:
            raise Problem(409, f"This letter was {letter.resolution} already.")

    async def _retry(self, job: RetryDead) -> Answer[None]:
        await self._queue.put(job, queue=NOW)
        return Answer(status=202, value=None)


def _letter(letter: dead.Letter) -> Letter:
    return Letter(
        id=letter.id,
        source=letter.source,
        reason=letter.reason,
        error=letter.error,
        page_id=letter.page_id,
        first_seen=letter.first_seen,
        tries=letter.tries,
        size=letter.size,
    )
