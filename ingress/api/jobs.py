"""Jobs over HTTP: syncs that were asked for, and how far they are."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Raw

from ingress.api.callers import Caller
from ingress.api.routes import EVENT_STREAM, endpoint
from ingress.api.shapes import (
    Asked,
    Job,
    PageResult,
    Progress,
    SyncAllAnswer,
    SyncAnswer,
    Totals,
)
from ingress.api.streams import Streams, event
from shared.store import overview
from shared.store.database import Database
from shared.store.overview import RunOverview
from shared.store.reading import Pages
from shared.store.runs import Counts, Run

LOOK_EVERY = 0.2
"""Seconds between two looks at a sync somebody waits for."""


class JobPath(Asked):
    """A job's id."""

    job_id: UUID


class Jobs:
    """Jobs."""

    def __init__(self, database: Database, streams: Streams) -> None:
        self._database = database
        self._streams = streams

    @endpoint("GET", "/jobs/{jobId}", scope="read")
    async def show(self, caller: Caller, path: JobPath) -> Job:
        """Show a job: its state, its progress, and its answer once it has ended."""
        return await self.find(caller.page_ids, path.job_id)

    @endpoint(
        "GET", "/jobs/{jobId}/events", scope="read", answers={200: Job}, content_type=EVENT_STREAM
    )
    async def events(
        self, caller: Caller, path: JobPath, request: web.Request
    ) -> web.StreamResponse:
        """Follow a job: an event `job` whenever it has changed, until it has ended."""
        job = await self.find(caller.page_ids, path.job_id)
        return await self._streams.serve(request, _Following(self, caller.page_ids, job))

    async def find(self, pages: Pages, job_id: UUID) -> Job:
        """Return a job; raises NotFound."""
        found = await overview.run(self._database, pages, job_id)
        now = datetime.now(UTC)
        if found.run.mode != "all":
            open_history = await self._has_open_history([found])
            return _job_of_one(found, open_history=open_history, now=now)
        members = await overview.members(self._database, pages, job_id)
        open_history = await self._has_open_history(members)
        return _job_of_all(found, members, open_history=open_history, now=now)

    async def listing(
        self, pages: Pages, ids: Sequence[UUID] | None = None, limit: int = 50
    ) -> dict[UUID, Job]:
        """Return the jobs last asked for, or those of `ids`, by id and without their answers."""
        now = datetime.now(UTC)
        found = await overview.runs(self._database, pages, ids=ids, limit=limit)
        return {one.run.id: _job(one, one.run.counts, None, now) for one in found}

    async def _has_open_history(self, found: Sequence[RunOverview]) -> bool:
        complete = [one.run.page_id for one in found if one.run.status == "complete"]
        ids = [page_id for page_id in complete if page_id is not None]
        return bool(ids) and await overview.has_open_history(self._database, ids)

    async def ended(self, pages: Pages, job_id: UUID, patience: timedelta) -> Job:
        """Return a job when it has ended or waits for a person, or as it is after `patience`."""
        until = time.monotonic() + patience.total_seconds()
        while True:
            job = await self.find(pages, job_id)
            if has_ended(job) or time.monotonic() >= until:
                return job
            await asyncio.sleep(LOOK_EVERY)


class _Following:
    """A job's changes as frames."""

    def __init__(self, jobs: Jobs, pages: Pages, job: Job) -> None:
        self._jobs, self._pages, self._job = jobs, pages, job
        self._told: Job | None = None

    async def frames(self) -> bytes | None:
        while self._job == self._told:
            if has_ended(self._job):
                return None
            await asyncio.sleep(LOOK_EVERY)
            self._job = await self._jobs.find(self._pages, self._job.job_id)
        self._told = self._job
        return event("job", msgspec.json.encode(self._job))


def has_ended(job: Job) -> bool:
    """Tell whether nothing more will come of a job by itself."""
    return job.state in {"complete", "failed"} or (
        job.state == "interrupted" and job.resume_at is None
    )


def _job_of_one(found: RunOverview, *, open_history: bool, now: datetime) -> Job:
    run = found.run
    ended = run.status in {"complete", "failed"}
    result = _answer(run, open_history=open_history) if ended else None
    return _job(found, run.counts, result, now)


def _job_of_all(
    found: RunOverview, members: Sequence[RunOverview], *, open_history: bool, now: datetime
) -> Job:
    ended = found.run.status in {"complete", "failed"}
    result = _answer_of_all(found.run, members, open_history=open_history) if ended else None
    return _job(found, _summed([one.run.counts for one in members]), result, now)


def _summed(counts: Sequence[Counts]) -> Counts:
    names = Counts.__struct_fields__
    return Counts(**{name: sum(getattr(one, name) for one in counts) for name in names})


def _job(
    found: RunOverview, counts: Counts, result: SyncAnswer | SyncAllAnswer | None, now: datetime
) -> Job:
    run = found.run
    return Job(
        job_id=run.id,
        state=run.status,
        mode=run.mode,
        page=found.page,
        progress=_progress(run, counts, now),
        started_at=run.started_at,
        finished_at=run.finished_at,
        resume_at=run.resume_at,
        error=run.error,
        result=Raw(msgspec.json.encode(result)),
    )


def _progress(run: Run, counts: Counts, now: datetime) -> Progress:
    eta = None
    if run.status == "running" and run.started_at and 0 < counts.synced < counts.total:
        elapsed = (now - run.started_at).total_seconds()
        eta = round(elapsed * (counts.total - counts.synced) / counts.synced)
    return Progress(
        synced=counts.synced,
        total=counts.total or None,
        inserted=counts.inserted,
        updated=counts.updated,
        eta_seconds=eta,
    )


def _answer(run: Run, *, open_history: bool) -> SyncAnswer:
    counts, mode = run.counts, _mode(run)
    return SyncAnswer(
        success=run.status == "complete",
        synced=counts.synced,
        inserted=counts.inserted,
        updated=counts.updated,
        skipped=counts.skipped,
        total=counts.total,
        events_created=counts.events_created,
        sync_mode=mode,
        message=f"{mode.capitalize()} sync: {counts.synced} conversation(s)"
        f" with {counts.events_created} events",
        job_id=run.id,
        duration=_duration(run),
        complete=run.status == "complete",
        history_complete=run.status == "complete" and not open_history,
    )


def _answer_of_all(
    batch: Run, members: Sequence[RunOverview], *, open_history: bool
) -> SyncAllAnswer:
    results = [_result(one) for one in members]
    succeeded = sum(result.success for result in results)
    complete = succeeded == len(results)
    return SyncAllAnswer(
        success=complete,
        total_pages=len(results),
        results=results,
        totals=Totals(
            total_synced=sum(result.synced for result in results),
            total_inserted=sum(result.inserted for result in results),
            total_updated=sum(result.updated for result in results),
            success_count=succeeded,
            failure_count=len(results) - succeeded,
        ),
        duration=_duration(batch),
        message=f"Synced {succeeded} of {len(results)} Page(s)",
        job_id=batch.id,
        complete=complete,
        history_complete=complete and not open_history,
    )


def _result(found: RunOverview) -> PageResult:
    run = found.run
    success = run.status == "complete"
    return PageResult(
        page_id=run.page_id or "",
        page_name=found.page.name if found.page else "",
        success=success,
        synced=run.counts.synced,
        inserted=run.counts.inserted,
        updated=run.counts.updated,
        sync_mode=_mode(run),
        job_id=run.id,
        error=None if success else run.error or f"The sync is {run.status}.",
    )


def _mode(run: Run) -> str:
    """Return the mode in the words of the original system, which knew two."""
    return "full" if run.mode == "full" else "incremental"


def _duration(run: Run) -> int:
    """Return how long a sync took, in milliseconds."""
    if run.started_at is None or run.finished_at is None:
        return 0
    return round((run.finished_at - run.started_at).total_seconds() * 1000)
