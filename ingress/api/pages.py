"""The Pages: which there are, and what may be done with them."""

import time
from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta
from redis.exceptions import RedisError

from ingress.api.callers import Caller
from ingress.api.directory import Directory
from ingress.api.jobs import Jobs
from ingress.api.problems import Problem
from ingress.api.routes import Answer, Id, Name, endpoint
from ingress.api.shapes import Asked, Job, Page, PageSlice
from shared import log
from shared.cache import Cache
from shared.config import Secret
from shared.crypto import KeyRing
from shared.queue import NOW, ApplyWaiting, Queue, SyncPage
from shared.store import overview, pages
from shared.store.database import Database
from shared.store.overview import PageOverview, PageSums

_log = log.get(__name__)

# Python's `$` lets a newline follow.
FacebookId = Annotated[str, Meta(pattern=r"^[0-9]{1,32}$(?!\n)")]
"""Facebook's ids of Pages and Instagram accounts are digits."""

Token = Annotated[str, Meta(min_length=1, max_length=4096, pattern=r"^[!-~]+$(?!\n)")]


class PagePath(Asked):
    """Our id of a Page, or either of Facebook's."""

    id: Id


class NewPage(Asked):
    """A Page to keep. The token is encrypted at once, and shown to nobody."""

    facebook_page_id: FacebookId
    name: Name
    instagram_id: FacebookId | None = None
    access_token: Token | None = None


class PageChange(Asked):
    """What to change of a Page; what is left out stays."""

    name: Name | None = None
    instagram_id: FacebookId | None = None
    access_token: Token | None = None
    status: Literal["active", "paused"] | None = None


class Removal(Asked):
    """`purge=true` deletes the Page's conversations too."""

    purge: bool = False


class _Sums:
    """What the conversations of each Page add up to, only so often that it costs little."""

    SHARE = 0.05
    """The part of the time that may go into adding up while somebody looks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sums: dict[str, PageSums] = {}
        self._believed_until = float("-inf")

    async def of(self, page: PageOverview) -> PageSums:
        """Return the sums of a Page and its Instagram account."""
        began = time.monotonic()
        if began >= self._believed_until:
            self._sums = await overview.page_sums(self._database, None)
            ended = time.monotonic()
            self._believed_until = ended + (ended - began) / self.SHARE
        mine = [
            self._sums[page_id]
            for page_id in (page.facebook_page_id, page.instagram_id)
            if page_id in self._sums
        ]
        return PageSums(
            sum(one.conversations for one in mine),
            max((one.last_message_at for one in mine if one.last_message_at), default=None),
        )


class Pages:
    """Pages."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        jobs: Jobs,
        queue: Queue,
        cache: Cache,
        key_ring: KeyRing | None,
        *,
        sync_interval: timedelta,
    ) -> None:
        self._database = database
        self._directory = directory
        self._jobs = jobs
        self._queue = queue
        self._cache = cache
        self._key_ring = key_ring
        self._sync_interval = sync_interval
        self._sums = _Sums(database)

    @endpoint("GET", "/pages", scope="read")
    async def listing(self, caller: Caller) -> PageSlice:
        """List the Pages by name, removed ones too."""
        return PageSlice(data=await self._shown(caller))

    @endpoint("GET", "/pages/{id}", scope="read")
    async def show(self, caller: Caller, path: PagePath) -> Page:
        """Show a Page."""
        return await self._one(caller, path)

    @endpoint("POST", "/pages", scope="admin", answers={201: Page})
    async def add(self, caller: Caller, body: NewPage) -> Answer[Page]:
        """Add a Page, or give a known one a new name and token and let it go on.

        Facebook is not asked. Webhooks that came before are applied, and the first sync starts.
        """
        if caller.pages is not None and body.facebook_page_id not in caller.pages:
            raise Problem(403, "This key sees certain Pages only, and this is none of them.")
        page = await pages.add(
            self._database,
            facebook_page_id=body.facebook_page_id,
            name=body.name,
            instagram_id=body.instagram_id,
            token=self._encrypted(body.access_token, body.facebook_page_id),
        )
        await self._changed(page, sync=True)
        return Answer(
            status=201,
            value=await self._one(caller, PagePath(id=str(page.id))),
            headers={"Location": f"/api/pages/{page.id}"},
        )

    @endpoint("PATCH", "/pages/{id}", scope="admin")
    async def change(self, caller: Caller, path: PagePath, body: PageChange) -> Page:
        """Rename, pause or resume a Page, link its Instagram account, or replace its token.

        A new token lets a parked Page go on.
        """
        page = await self._find(caller, path)
        if page.status == "removed":
            raise Problem(409, f"The Page {page.name} is removed: add it again first.")
        page = await pages.change(
            self._database,
            page.id,
            name=body.name,
            instagram_id=body.instagram_id,
            token=self._encrypted(body.access_token, page.facebook_page_id),
        )
        if body.status == "paused":
            page = await pages.pause(self._database, page.id)
        elif body.status == "active":
            page = await pages.resume(self._database, page.id)
        await self._changed(page, sync=body.status == "active" or body.access_token is not None)
        return await self._one(caller, path)

    @endpoint("DELETE", "/pages/{id}", scope="admin")
    async def remove(self, caller: Caller, path: PagePath, query: Removal) -> None:
        """Erase a Page's token and stop its syncs; its rows stay unless `purge`.

        Adding it again revives it under the same id. A purge that is cut off is asked for again.
        """
        page = await self._find(caller, path)
        try:
            await pages.remove(self._database, page.id, purge=query.purge)
        finally:
            await self._changed(page, sync=False)

    async def _find(self, caller: Caller, path: PagePath) -> pages.Page:
        """Return a Page as it is now; raises NotFound."""
        return await pages.find(self._database, path.id, only=caller.pages)

    async def _one(self, caller: Caller, path: PagePath) -> Page:
        [shown] = await self._shown(caller, (await self._find(caller, path)).id)
        return shown

    async def _shown(self, caller: Caller, page: UUID | None = None) -> list[Page]:
        found = await overview.pages(self._database, caller.page_ids, page=page)
        ids = [one.run_id for one in found if one.run_id is not None]
        running = await self._jobs.listing(caller.page_ids, ids) if ids else {}
        return [
            _page(one, await self._sums.of(one), running.get(one.run_id) if one.run_id else None)
            for one in found
        ]

    def _encrypted(self, token: str | None, facebook_page_id: str) -> bytes | None:
        if token is None:
            return None
        if self._key_ring is None:
            raise Problem(503, "TOKEN_ENCRYPTION_KEYS is not set here: no token can be stored.")
        return self._key_ring.encrypt(Secret(token), facebook_page_id)

    async def _changed(self, page: pages.Page, *, sync: bool) -> None:
        """Have everything follow a change: names in answers, what waited for it, its sync."""
        self._directory.forget()
        await self._cache.renew()
        if page.status != "active":
            return
        waiting = ApplyWaiting(page=page.facebook_page_id)
        try:
            await self._queue.put(waiting, queue=NOW)
            # A worker that looked a moment ago takes the Page for unknown for another second.
            await self._queue.put(waiting, after=timedelta(seconds=5))
            if sync and self._sync_interval:
                await self._queue.put(SyncPage(page=page.facebook_page_id), queue=NOW)
        except (RedisError, OSError) as error:
            # The workers' sweeps come to it by themselves.
            _log.warning("page_not_queued", page=str(page.id), error=type(error).__name__)


def _page(page: PageOverview, sums: PageSums, run: Job | None) -> Page:
    return Page(
        id=page.id,
        facebook_page_id=page.facebook_page_id,
        instagram_id=page.instagram_id,
        name=page.name,
        status=page.status,
        status_reason=page.status_reason,
        is_active=page.is_active,
        last_synced_at=page.last_synced_at,
        last_event_at=sums.last_message_at,
        proven_at=page.proven_at,
        proven_level=page.proven_level,
        conversations=sums.conversations,
        run=run,
        budget=None,
    )
