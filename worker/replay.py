"""Replays the items of `raw_events`: they pass through the writer once more, to no other effect.

For rows that a fault or a mistake has damaged, and for kinds that a new release understands. What
was unsent or erased has no bytes any more, and stays gone.
"""

import asyncio
import time
from datetime import UTC, datetime
from uuid import UUID

from shared import log
from shared.errors import NotFound
from shared.queue import LATER, Queue, Replay
from shared.store import pages, raws
from shared.store.database import Database
from worker.outcome import DeadLetter, Outcome
from worker.writing import MAX_ITEMS, Writer, read_items

_log = log.get(__name__)

STEP_SECONDS = 20.0
"""A job is one step of this length; the next begins at the place where it ended."""


class Replays:
    """Takes the steps of replays."""

    def __init__(self, database: Database, writer: Writer, queue: Queue) -> None:
        self._database = database
        self._writer = writer
        self._queue = queue

    async def step(self, job: Replay) -> Outcome | None:
        """Replay for a while, then queue the rest; a step that is cut off is done again."""
        page_ids = None
        if job.page is not None:
            try:
                page_ids = (await pages.find(self._database, job.page)).entry_ids
            except NotFound as error:
                return DeadLetter("bad_job", str(error))
        since = datetime.fromtimestamp(job.since_ms / 1000, UTC)
        after, began, count = UUID(job.after), time.monotonic(), 0
        while time.monotonic() - began < STEP_SECONDS:
            slice_began = time.monotonic()
            found = await raws.slice_of(
                self._database, since=since, page_ids=page_ids, after=after, most=MAX_ITEMS
            )
            if not found:
                _log.info("replayed", items=count, done="100%")
                return None
            told = [
                one for raw in found for one in read_items(raw.bytes, raw.received_ms, kept=True)
            ]
            await self._writer.write(told, again=False, waiting=_go_on)
            after, count = found[-1].identity, count + len(found)
            # Live events come first: half of the time is theirs.
            await asyncio.sleep(time.monotonic() - slice_began)
        # Identities are digests, spread evenly: the last one tells how far this is.
        _log.info("replayed", items=count, done=f"{after.int / 2**128:.0%}")
        rest = Replay(since_ms=job.since_ms, page=job.page, after=str(after))
        await self._queue.put(rest, queue=LATER)
        return None


async def _go_on() -> None:
    return
