"""Runs in hand: the lease they are held under, and how each is let go."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import uuid4

from shared import log, metrics
from shared.config import Secret
from shared.facebook.graph.errors import ParkPage, PauseApp, Retry, Shrink, Snooze, Verdict
from shared.store import runs
from shared.store.database import Database
from shared.store.runs import Taken
from worker.sync.inquiry import Inquiry

SHORT_WAIT = timedelta(seconds=10)
"""A run that must wait longer counts as interrupted."""

TRIES = 2
"""So often a refusal that asking again should not change is met before the run has failed."""

_log = log.get(__name__)


class Active:
    """A run in our hands; `stop` is why it is let go before it is done, `is_done` that it is."""

    def __init__(self, run: Taken, token: Secret, inquiry: Inquiry) -> None:
        self.run = run
        self.token = token
        self.inquiry = inquiry
        self.unanswered = 0
        self.tries = run.tries
        self.stop: Verdict | None = None
        self.is_done = False
        self.is_lost = False

    @property
    def is_complete(self) -> bool:
        return self.is_done and self.stop is None


class Lease:
    """What runs are held under while a step lasts; it ends by itself if its holder dies."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.id = uuid4()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep the lease while a step lasts, and give back what it still holds at its end."""
        extending = asyncio.create_task(self._extend())
        try:
            yield
        finally:
            extending.cancel()
            try:
                async with asyncio.timeout(2):
                    await runs.release(self._database, self.id)
            except Exception as error:
                # It ends by itself; and what went wrong before is what must be heard.
                _log.warning("lease_not_given_back", error=type(error).__name__)

    async def _extend(self) -> None:
        while True:
            await asyncio.sleep(runs.LEASE / timedelta(seconds=3))
            try:
                await runs.extend(self._database, self.id)
            except Exception as error:
                # The step finds out when it writes; until then the lease may still hold.
                _log.warning("lease_not_extended", error=type(error).__name__)

    async def let_go(self, active: Active) -> None:
        """Write down how a run stands and when it is to go on."""
        match active.stop:
            case None if active.is_done:
                await self._end(active, "complete")
            case None:
                await self._leave(active, timedelta(), active.tries)
            case ParkPage() as verdict:
                await self._park(active, verdict)
            case Snooze(seconds=seconds) | PauseApp(seconds=seconds) as verdict:
                await self._leave(active, timedelta(seconds=seconds), active.tries, verdict)
            case Retry() | Shrink() as verdict:
                tries = active.tries + 1
                await self._leave(active, _backoff(tries), tries, verdict)
            case verdict:
                tries = active.tries + 1
                if tries < TRIES:
                    await self._leave(active, _backoff(tries), tries, verdict)
                else:
                    await self._end(active, "failed", verdict)

    async def _end(
        self,
        active: Active,
        status: Literal["complete", "failed"],
        verdict: Verdict | None = None,
    ) -> None:
        await runs.end(
            self._database,
            active.run,
            self.id,
            status=status,
            counts=active.inquiry.counts,
            error_code=verdict.code if verdict else None,
            error=verdict.reason if verdict else None,
        )
        metrics.sync_runs.labels(active.run.mode, status).inc()
        self._say(f"sync_{status}", active, verdict)

    async def _leave(
        self, active: Active, wait: timedelta, tries: int, verdict: Verdict | None = None
    ) -> None:
        await runs.leave(
            self._database,
            active.run,
            self.id,
            status="interrupted" if wait > SHORT_WAIT else "running",
            resume_at=datetime.now(UTC) + wait,
            tries=tries,
            counts=active.inquiry.counts,
            error_code=verdict.code if verdict else None,
            error=verdict.reason if verdict else None,
        )
        if verdict is not None:
            self._say("sync_waits", active, verdict)

    async def _park(self, active: Active, verdict: ParkPage) -> None:
        """Park the Page and leave the run to whoever activates the Page again."""
        parked = await runs.park(self._database, active.run, verdict.reason)
        await runs.leave(
            self._database,
            active.run,
            self.id,
            status="interrupted",
            resume_at=None,
            tries=0,
            counts=active.inquiry.counts,
            error_code=verdict.code,
            error=verdict.reason,
        )
        if parked:
            metrics.pages_parked.inc()
            self._say("page_parked", active, verdict)

    def _say(self, event: str, active: Active, verdict: Verdict | None) -> None:
        run = active.run
        _log.log(
            logging.WARNING if event in {"page_parked", "sync_failed"} else logging.INFO,
            event,
            run=str(run.id),
            page=run.page_id,
            mode=run.mode,
            code=verdict.code if verdict else None,
            reason=verdict.reason if verdict else None,
        )


def _backoff(tries: int) -> timedelta:
    """Wait longer each time, and never all at once."""
    longest = min(600.0, 2.0**tries)
    return timedelta(seconds=random.uniform(longest / 2, longest))  # noqa: S311
