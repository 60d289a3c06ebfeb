"""Asking for syncs, with the bodies and answers of the system this one replaces."""

from datetime import timedelta
from typing import Any, ClassVar, Literal
from uuid import UUID

from msgspec import UNSET, Raw, UnsetType
from redis.exceptions import RedisError

from ingress.api.callers import Caller
from ingress.api.directory import Directory
from ingress.api.jobs import Jobs, has_ended
from ingress.api.problems import Problem
from ingress.api.routes import Answer, Id, endpoint
from ingress.api.shapes import Asked, Job, SyncAllAnswer, SyncAnswer
from shared import log
from shared.errors import NotFound
from shared.queue import NOW, Queue, SyncStep
from shared.store import runs
from shared.store.database import Database
from shared.store.pages import Page

_log = log.get(__name__)

PATIENCE = timedelta(seconds=25)
"""For so long an answer waits for a sync's end; proxies commonly cut a request off at 30 s."""

_ASKED_BY_PEOPLE = 0


class SyncOne(Asked):
    """Which Page: our id or Facebook's, both where both are known."""

    also_schema: ClassVar[dict[str, Any]] = {
        "anyOf": [{"required": ["pageId"]}, {"required": ["facebookPageId"]}]
    }

    page_id: Id | UnsetType = UNSET
    facebook_page_id: Id | UnsetType = UNSET
    force_full: bool = False


class SyncAll(Asked):
    """How to sync all Pages."""

    force_full: bool = False


class Waiting(Asked):
    """`wait=0`: answer at once, with the job."""

    wait: Literal[0, 1] = 1


class Syncs:
    """Syncs."""

    def __init__(self, database: Database, directory: Directory, queue: Queue, jobs: Jobs) -> None:
        self._database = database
        self._directory = directory
        self._queue = queue
        self._jobs = jobs

    @endpoint("POST", "/conversations/sync", scope="sync", answers={200: SyncAnswer, 202: Job})
    async def sync(self, caller: Caller, query: Waiting, body: SyncOne) -> Answer[Job | Raw]:
        """Sync one Page, and wait up to 25 seconds for the end.

        A sync of the Page that runs already is joined; a full one joins only a full one, and
        otherwise follows. One that takes longer, or `wait=0`, is answered 202 with the job.
        """
        page = await self._page(caller, body)
        if page.status == "removed":
            raise Problem(409, f"The Page {page.name} is removed: add it again first.")
        run, _ = await runs.request(
            self._database,
            page.facebook_page_id,
            "full" if body.force_full else "incremental",
            priority=_ASKED_BY_PEOPLE,
        )
        return await self._answer(caller, run.id, query)

    @endpoint(
        "POST", "/conversations/sync-all", scope="sync", answers={200: SyncAllAnswer, 202: Job}
    )
    async def sync_all(
        self, caller: Caller, query: Waiting, body: SyncAll | None
    ) -> Answer[Job | Raw]:
        """Sync all active Pages, and wait up to 25 seconds for the end.

        Parked Pages are listed too, with their reason.
        """
        pages = await self._directory.listing(caller.pages)
        wanted = [page.facebook_page_id for page in pages if page.status in {"active", "parked"}]
        if not wanted:
            raise NotFound("There is no active Page.")
        batch = await runs.request_all(
            self._database,
            full=body is not None and body.force_full,
            priority=_ASKED_BY_PEOPLE,
            pages=wanted,
        )
        return await self._answer(caller, batch.id, query)

    async def _page(self, caller: Caller, body: SyncOne) -> Page:
        """Return the Page that is meant; raises a Problem, or NotFound."""
        ids = [any_id for any_id in (body.page_id, body.facebook_page_id) if any_id is not UNSET]
        if not ids:
            raise Problem(400, "Say which Page: `pageId` or `facebookPageId`.")
        meant = [await self._directory.find(any_id, caller.pages) for any_id in ids]
        if meant[0] != meant[-1]:
            raise Problem(400, "`pageId` and `facebookPageId` are two different Pages.")
        return meant[0]

    async def _answer(self, caller: Caller, run: UUID, query: Waiting) -> Answer[Job | Raw]:
        await self._wake(run)
        patience = PATIENCE if query.wait else timedelta()
        job = await self._jobs.ended(caller.page_ids, run, patience)
        if not query.wait or not has_ended(job):
            return Answer(status=202, value=job, headers={"Location": f"/api/jobs/{run}"})
        if job.state == "interrupted":
            raise Problem(409, job.error or "The Page needs a person first.")
        if job.state == "failed" and job.mode != "all":
            raise Problem(502, f"The sync failed: {job.error}")
        return Answer(status=200, value=job.result)

    async def _wake(self, run: UUID) -> None:
        """Have a worker begin at once; without Redis its sweep will find the run."""
        try:
            await self._queue.put(SyncStep(run_id=str(run)), queue=NOW)
        except (RedisError, OSError) as error:
            _log.warning("sync_not_queued", run=str(run), error=type(error).__name__)
