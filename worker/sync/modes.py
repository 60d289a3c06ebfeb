"""What each mode of sync begins with, and what follows when it is done."""

from datetime import UTC, datetime
from functools import partial

import msgspec

from shared.config import Settings
from shared.facebook.limits import Priority
from shared.store import runs
from shared.store.database import Database
from shared.store.runs import Taken
from worker.sync.history import History
from worker.sync.inquiry import Inquiry
from worker.sync.planning import plan
from worker.sync.walk import Place, Walk


class SyncModes:
    """The modes as the settings want them."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def begin(self, run: Taken) -> Inquiry:
        """Return the inquiry of a run, at the place where it was left."""
        match run.mode:
            case "history":
                return History(run, self._database)
            case _:
                return await self._walk(run)

    async def follow(self, run: Taken) -> None:
        """Ask for what a finished run leaves to be done."""
        if run.mode in {"full", "incremental", "repair"}:
            await self._follow_walk(run)

    async def _walk(self, run: Taken) -> Walk:
        limit = self._settings.sync_slice
        place = _place(run.place)
        if place is None:
            place = plan(
                run.mode,
                since=run.since,
                points=await runs.points(self._database, run.page_id),
                instagram=run.instagram_id is not None,
                overlap=self._settings.sync_overlap,
                limit=limit,
                nested=self._settings.sync_messages,
                now=datetime.now(UTC),
            )
        # A full walk looks at everything; what it finds unchanged may have been edited.
        known = partial(runs.known_conversations, self._database)
        return Walk(
            page_id=run.page_id,
            instagram_id=run.instagram_id,
            place=place,
            counts=run.counts,
            limit=limit,
            overlap=self._settings.sync_overlap,
            known=known if run.mode == "incremental" else None,
        )

    async def _follow_walk(self, run: Taken) -> None:
        ids = [run.page_id, *([run.instagram_id] if run.instagram_id else [])]
        if await runs.has_open_history(self._database, ids):
            await runs.request(self._database, run.page_id, "history", priority=Priority.HISTORY)


def _place(kept: bytes | None) -> Place | None:
    """Read a kept place; one that another release wrote differently is walked anew."""
    try:
        return msgspec.json.decode(kept, type=Place) if kept else None
    except msgspec.MsgspecError:
        return None
