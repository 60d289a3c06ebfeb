"""The Pages: which there are, and what may be done with them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ingress.api.callers import Caller
from ingress.api.directory import Directory
from ingress.api.jobs import Jobs
from ingress.api.problems import Problem
from ingress.api.routes import Answer, Id, Name, endpoint
from ingress.api.shapes import Asked, Budget, Job, Page, PageSlice
from ingress.api.sums import Sums
from shared import log
from shared.cache import Cache
from shared.config import Secret
from shared.crypto import KeyRing
from shared.facebook.graph import limits
from shared.queue import NOW, Queue, Subscribe
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


class Pages:
    """Pages."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        jobs: Jobs,
        sums: Sums,
        queue: Queue,
        redis: Redis,
        cache: Cache,
        key_ring: KeyRing | None,
        *,
        sync_interval: timedelta,
    ) -> None:
        self._database = database
        self._directory = directory
        self._jobs = jobs
        self._queue = queue
        self._redis = redis
        self._cache = cache
        self._key_ring = key_ring
        self._sync_interval = sync_interval
        self._sums = sums

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
        _require_all_to_link(caller, body.instagram_id, None)
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
        _require_all_to_link(caller, body.instagram_id, page)
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

    @endpoint("POST", "/pages/{id}/subscribe", scope="admin", answers={202: None})
    async def subscribe(self, caller: Caller, path: PagePath) -> Answer[None]:
        """Have a worker see to it that Facebook sends the Page's webhooks."""
        page = await self._find(caller, path)
        if page.status != "active":
            raise Problem(409, f"The Page {page.name} is {page.status}: let it go on first.")
        await self._queue.put(Subscribe(page=page.facebook_page_id), queue=NOW)
        return Answer(status=202, value=None)

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
        budgets = await self._budgets([one.facebook_page_id for one in found])
        return [
            _page(
                one,
                await self._sums.of(one.facebook_page_id, one.instagram_id),
                running.get(one.run_id) if one.run_id else None,
                budgets.get(one.facebook_page_id),
            )
            for one in found
        ]

    async def _budgets(self, page_ids: Sequence[str]) -> dict[str, Budget]:
        """Return what is used of Facebook's limits; nothing while Redis is away."""
        try:
            standings = await limits.standings(self._redis, page_ids)
        except (RedisError, OSError):
            return {}
        now = datetime.now(UTC)
        return {
            page_id: Budget(
                usage_percent=one.percent,
                hold_until=now + timedelta(seconds=one.hold_seconds) if one.hold_seconds else None,
            )
            for page_id, one in standings.items()
        }

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
        try:
            await self._queue.welcome(
                page.facebook_page_id, sync=sync and bool(self._sync_interval)
            )
        except (RedisError, OSError) as error:
            # The workers' sweeps come to it by themselves.
            _log.warning("page_not_queued", page=str(page.id), error=type(error).__name__)


def _require_all_to_link(caller: Caller, instagram_id: str | None, page: pages.Page | None) -> None:
    """Raise a 403 Problem where a key of certain Pages would reach for somebody else's account.

    The key sees all rows of the account its Page is said to have. Syncs learn it from Facebook.
    """
    has_it = page is not None and page.instagram_id == instagram_id
    if caller.pages is not None and instagram_id is not None and not has_it:
        raise Problem(403, "Only a key that sees all Pages may link an Instagram account.")


def _page(page: PageOverview, sums: PageSums, run: Job | None, budget: Budget | None) -> Page:
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
        budget=budget,
    )
