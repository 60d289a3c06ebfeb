"""Jobs over HTTP: syncs that were asked for, and how far they are."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from aiohttp import web

from ingress.api import reports
from ingress.api.callers import Caller
from ingress.api.routes import EVENT_STREAM, endpoint
from ingress.api.shapes import Asked, Job
from ingress.api.streams import HEARTBEAT, Streams, event
from shared.store import overview
from shared.store.database import Database
from shared.store.overview import RunOverview
from shared.store.progress import Expected, Progress, progress
from shared.store.reading import Pages

LOOK_EVERY = 0.2
"""Seconds between two looks at a sync somebody waits for."""


class JobPath(Asked):
    """A job's id."""

    job_id: UUID


class Jobs:
    """Jobs."""

    def __init__(self, database: Database, streams: Streams) -> None:
        self._database = database
        self._expected = Expected(database)
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
        following = _Following(self, caller.page_ids, job, self._streams.heartbeat)
        return await self._streams.serve(request, following)

    async def find(self, pages: Pages, job_id: UUID) -> Job:
        """Return a job; raises NotFound."""
        found = await overview.run(self._database, pages, job_id)
        if found.run.mode == "all":
            members = await overview.members(self._database, pages, job_id)
            return reports.job_of_all(
                found,
                members,
                await self._progress(found, members),
                open_history=await self._has_open_history(members),
            )
        return reports.job_of_one(
            found,
            await self._progress(found, [found]),
            open_history=await self._has_open_history([found]),
        )

    async def listing(
        self, pages: Pages, ids: Sequence[UUID] | None = None, limit: int = 50
    ) -> dict[UUID, Job]:
        """Return the jobs last asked for, or those of `ids`, by id and without their answers."""
        found = await overview.runs(self._database, pages, ids=ids, limit=limit)
        await self._expected.of([one.run for one in found])
        return {
            one.run.id: reports.job_without_answer(one, await self._progress(one, [one]))
            for one in found
        }

    async def _progress(self, job: RunOverview, parts: Sequence[RunOverview]) -> Progress:
        runs = [one.run for one in parts]
        return progress(
            runs,
            await self._expected.of(runs),
            since=job.run.started_at,
            now=datetime.now(UTC),
        )

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

    def __init__(self, jobs: Jobs, pages: Pages, job: Job, heartbeat: float) -> None:
        self._jobs, self._pages, self._job = jobs, pages, job
        self._heartbeat = heartbeat
        self._told: Job | None = None

    async def frames(self) -> bytes | None:
        silent_until = time.monotonic() + self._heartbeat
        while self._job == self._told:
            if has_ended(self._job):
                return None
            if time.monotonic() >= silent_until:
                return HEARTBEAT
            await asyncio.sleep(LOOK_EVERY)
            self._job = await self._jobs.find(self._pages, self._job.job_id)
        self._told = self._job
        return event("job", msgspec.json.encode(self._job))


def has_ended(job: Job) -> bool:
    """Tell whether nothing more will come of a job by itself."""
    return job.state in {"complete", "failed"} or (
        job.state == "interrupted" and job.resume_at is None
    )
