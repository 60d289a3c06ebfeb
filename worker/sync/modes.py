"""What each mode of sync begins with, and what follows when it is done."""

from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec

from shared.config import Settings
from shared.facebook.graph.limits import Priority
from shared.store import coverage, pages, people, runs
from shared.store.database import Database
from shared.store.runs import Mode, Taken
from worker.retention import Retention
from worker.sync import verify
from worker.sync.history import History
from worker.sync.inquiry import Inquiry
from worker.sync.listings import Place
from worker.sync.people import LABELS, AboutPeople, Labels, Names
from worker.sync.planning import plan
from worker.sync.verify import Verify
from worker.sync.walk import Walk

CLOSED = timedelta(days=1)
"""For so long a Page's labels are left alone after they were found closed."""


class SyncModes:
    """The modes as the settings want them."""

    def __init__(self, database: Database, settings: Settings, retention: Retention) -> None:
        self._database = database
        self._settings = settings
        self._retention = retention

    async def begin(self, run: Taken) -> Inquiry:
        """Return the inquiry of a run, at the place where it was left."""
        match run.mode:
            case "history":
                return History(run, self._database, self._retention.horizon_ms())
            case "labels":
                return AboutPeople(run, self._database, Labels(self._database))
            case "profiles":
                return AboutPeople(run, self._database, Names())
            case "verify":
                return await self._verify(run)
            case _:
                return await self._walk(run)

    async def follow(self, run: Taken) -> None:
        """Ask for what a finished run leaves to be done."""
        if run.mode in {"full", "incremental", "repair"}:
            await self._follow_walk(run)
        elif run.mode == "verify":
            await coverage.forget_listed(self._database, run.id)

    async def _walk(self, run: Taken) -> Walk:
        limit = self._settings.sync_slice
        place = _place(run.place)
        if place is None:
            place = plan(
                run.mode,
                since=run.since,
                points=await coverage.points(self._database, run.page_id),
                instagram=run.instagram_id is not None,
                overlap=self._settings.sync_overlap,
                limit=limit,
                nested=self._settings.sync_messages,
                now=datetime.now(UTC),
            )
        # A full walk looks at everything; what it finds unchanged may have been edited.
        known = partial(coverage.known_conversations, self._database)
        return Walk(
            run,
            place,
            limit,
            overlap=self._settings.sync_overlap,
            known=known if run.mode == "incremental" else None,
            horizon_ms=self._retention.horizon_ms(),
        )

    async def _verify(self, run: Taken) -> Verify:
        limit = self._settings.sync_slice
        begun = _place(run.place) or verify.place(
            await coverage.points(self._database, run.page_id),
            instagram=run.instagram_id is not None,
            deep=run.options.get("deep", False),
            limit=limit,
            nested=self._settings.sync_messages,
        )
        found = await coverage.findings(self._database, run.id, open_only=True)
        horizon_ms = self._retention.horizon_ms()
        return Verify(run, begun, limit, self._database, found, horizon_ms=horizon_ms)

    async def _follow_walk(self, run: Taken) -> None:
        # Looked up again: the walk itself may have found the Instagram account.
        ids = (await pages.find(self._database, run.page_id)).entry_ids
        if await coverage.has_open_history(self._database, ids):
            await self._request(run, "history")
        if await people.due(self._database, "names", ids, but=(), most=1):
            await self._request(run, "profiles")
        if await people.due(self._database, "labels", ids, but=(), most=1) and not any(
            point.folder == LABELS and point.set_aside_at and not _is_over(point.set_aside_at)
            for point in await coverage.points(self._database, run.page_id)
        ):
            await self._request(run, "labels")

    async def _request(self, run: Taken, mode: Mode) -> None:
        await runs.request(self._database, run.page_id, mode, priority=Priority.HISTORY)


def _is_over(since: datetime) -> bool:
    """Tell whether what was closed is worth another try."""
    return datetime.now(UTC) - since >= CLOSED


def _place(kept: bytes | None) -> Place | None:
    """Read a kept place; one that another release wrote differently is walked anew."""
    try:
        return msgspec.json.decode(kept, type=Place) if kept else None
    except msgspec.MsgspecError:
        return None
