"""Counts the envelopes that were acknowledged and are nowhere any more.

An ingress writes down which numbers it acknowledged, the workers which they applied. What is owed
is lost once the backlog has been worked off without it.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

from shared import log, metrics
from shared.backlog.inbox import Inbox
from shared.backlog.stream import EntryId, Stream
from shared.store import losses
from shared.store.database import Database

_log = log.get(__name__)

SENT_AGAIN_BY = 15.0
"""Seconds after which every ingress that lives has sent its ring to a Redis that came back empty:
it looks every second, and may take ten to send."""

_WORKED_OFF_BY = 25.0  # else the next look waits again
_LOOK_AGAIN = 0.25


class Losses:
    """Tells lost from late."""

    def __init__(self, database: Database, streams: Sequence[Stream], inbox: Inbox) -> None:
        self._database = database
        self._streams = streams
        self._inbox = inbox

    async def look(self, *, patience: float = SENT_AGAIN_BY) -> None:
        """Count what is lost by now; raises Unavailable or TimeoutError if unknown."""
        await losses.fold(self._database)
        if owed := await losses.owed(self._database):
            await asyncio.sleep(patience)
            async with asyncio.timeout(_WORKED_OFF_BY):
                await self._worked_off()
            await losses.fold(self._database)
            if envelopes := await losses.count_as_lost(self._database, owed):
                metrics.gaps.labels("envelopes_lost").inc()
                _log.error("envelopes_lost", envelopes=envelopes)
        metrics.backlog_lost.set(await losses.lost(self._database))

    async def _worked_off(self) -> None:
        """Wait until all that is in the backlog now has been applied."""
        began = time.monotonic()
        ends = [(stream, (await stream.state()).last) for stream in self._streams]
        while True:
            behind = [end for end in ends if not await _is_past(*end)]
            waiting, age = await self._inbox.unapplied()
            since = timedelta(seconds=time.monotonic() - began)
            if not behind and (not waiting or (age and age < since)):
                return
            await asyncio.sleep(_LOOK_AGAIN)


async def _is_past(stream: Stream, last: EntryId) -> bool:
    """Tell whether everything up to an entry has been applied."""
    oldest = (await stream.state()).oldest_unapplied
    return oldest is None or oldest > last
