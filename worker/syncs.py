"""The jobs that start syncs and carry them on, step by step."""

import math
from datetime import UTC, datetime, timedelta
from uuid import UUID

from shared.config import Settings
from shared.errors import NotFound
from shared.facebook.graph.batch import LIMIT
from shared.facebook.graph.limits import Priority
from shared.queue import LATER, NOW, Queue, Subscribe, SyncAll, SyncPage, SyncStep
from shared.store import gaps, pages, runs
from worker.outcome import DeadLetter, Outcome
from worker.sync.schedule import ask_for_due
from worker.sync.step import Tools, take_step
from worker.sync.watch import Watch

AT_ONCE = 200
"""Runs or batches woken at a time; what is left is woken ten seconds later."""


WATCH_EVERY = timedelta(minutes=5)


class Syncs:
    """Requests runs, wakes what nobody holds, and takes their steps."""

    def __init__(self, tools: Tools, queue: Queue, watch: Watch, settings: Settings) -> None:
        self._tools = tools
        self._queue = queue
        self._watch = watch
        self._settings = settings

    async def step(self, job: SyncStep) -> Outcome:
        """Take the next step of a run or of a batch of runs."""
        return await take_step(self._tools, UUID(job.run_id))

    async def page(self, job: SyncPage) -> Outcome | None:
        """Request a sync of one Page, as people do, and begin it."""
        database = self._tools.database
        try:
            page = await pages.find(database, job.page)
        except NotFound as error:
            return DeadLetter("bad_job", str(error))
        mode: runs.Mode = "full" if job.full else "incremental"
        run, _ = await runs.request(database, page.facebook_page_id, mode, priority=Priority.PEOPLE)
        return await take_step(self._tools, run.id)

    async def all(self, job: SyncAll) -> Outcome:
        """Request a sync of all Pages, as one batch, and begin it."""
        batch = await runs.request_all(
            self._tools.database, full=job.full, priority=Priority.PEOPLE
        )
        return await take_step(self._tools, batch.id)

    async def wake(self) -> None:
        """Queue a step for every run that may go on and that nobody holds."""
        for waking in await runs.wake(self._tools.database, AT_ONCE):
            queue = NOW if waking.priority == Priority.PEOPLE else LATER
            for _ in range(math.ceil(waking.runs / LIMIT)):
                await self._queue.put(SyncStep(run_id=str(waking.id)), queue=queue)

    async def schedule(self) -> None:
        """Request the walks that are due, and the repair of every gap."""
        if not self._settings.sync_interval:
            return
        await ask_for_due(
            self._tools.database,
            interval=self._settings.sync_interval,
            full_interval=self._settings.sync_full_interval,
            now=datetime.now(UTC),
        )
        for gap in await gaps.open_gaps(self._tools.database):
            for page_id in gap.pages:
                await runs.request(
                    self._tools.database,
                    page_id,
                    "repair",
                    priority=Priority.CRON,
                    since=gap.from_at,
                )
            await gaps.close(self._tools.database, gap)

    async def subscribe(self, job: Subscribe) -> None:
        """Check the subscription of one Page now, and mend it."""
        await self._watch.look(timedelta(), datetime.now(UTC), job.page)

    async def watch(self) -> None:
        """Look after the subscriptions of the Pages."""
        if self._settings.sync_interval:
            await self._watch.look(WATCH_EVERY, datetime.now(UTC))
