"""How long messages are kept, and what becomes of them then.

What is older than the horizon is deleted by and by, and not taken in again: whoever brings it, a
walk, a replay or a late webhook, it is left out before it is written.
"""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from shared import log
from shared.cache import Cache
from shared.store import expiring
from shared.store.database import Database
from shared.store.rows import Batch

_log = log.get(__name__)

ROUNDS_SECONDS = 20.0
"""Seconds of deleting a minute; the next tick goes on where this one stopped."""


class Retention:
    """MESSAGE_RETENTION; None keeps for ever."""

    def __init__(self, keep: timedelta | None = None) -> None:
        self._keep = keep

    def horizon_ms(self) -> int | None:
        """Return the time (ms) before which nothing is kept now."""
        if self._keep is None:
            return None
        return int((datetime.now(UTC) - self._keep).timestamp() * 1000)

    def of_raw(self, raw: timedelta) -> timedelta:
        """Return how long raw copies are kept: what lies in them is messages, too."""
        return raw if self._keep is None else min(raw, self._keep)

    def leave_out(self, batch: Batch) -> None:
        """Take out of a batch what has expired."""
        horizon_ms = self.horizon_ms()
        if horizon_ms is not None:
            leave_out(batch, horizon_ms)


def leave_out(batch: Batch, horizon_ms: int) -> None:
    """Take out of a batch what is older than the horizon, with its reactions and raw copies."""
    old = {key for key, row in batch.messages.items() if _is_below(row.sent_ms, horizon_ms)}
    batch.messages = {k: row for k, row in batch.messages.items() if k not in old}
    batch.reactions = {
        k: row for k, row in batch.reactions.items() if (row.page_id, row.mid) not in old
    }
    batch.raws = {
        k: row for k, row in batch.raws.items() if (row.page_id, row.mid or "") not in old
    }
    batch.conversations = {
        k: row
        for k, row in batch.conversations.items()
        if not _is_below(row.updated_ms, horizon_ms)
    }
    batch.events = {
        k: row for k, row in batch.events.items() if not _is_below(row.occurred_ms, horizon_ms)
    }


def _is_below(at_ms: int | None, horizon_ms: int) -> bool:
    return at_ms is not None and at_ms < horizon_ms


class Expiry:
    """Deletes what has expired, and tells whoever shows it."""

    def __init__(self, database: Database, cache: Cache, retention: Retention) -> None:
        self._database = database
        self._cache = cache
        self._retention = retention

    async def run(self) -> None:
        """Delete for a while, in an hourly pass over all conversations; leave an audit line."""
        horizon_ms = self._retention.horizon_ms()
        if horizon_ms is None:
            return
        rows: Counter[str] = Counter()
        began = time.monotonic()
        try:
            more = True
            while more and time.monotonic() - began < ROUNDS_SECONDS:
                done = await expiring.expire_some(self._database, horizon_ms)
                rows, more = rows + done.rows, done.more
                await self._cache.changed(done.touched)
        finally:
            if rows:
                horizon = datetime.fromtimestamp(horizon_ms / 1000, UTC)
                await expiring.note(self._database, horizon, rows)
                _log.info("expired", **rows)
