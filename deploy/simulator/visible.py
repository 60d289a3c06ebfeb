"""Measures how long a message takes from its webhook's sending to its row in the receiver's table.

The row is looked for, so that what is measured is what a reader sees: its commit. Looking costs up
to a millisecond, which the figures include.
"""

import asyncio
import json
import statistics
import time
from collections import deque

import asyncpg

_LOOK_EVERY = 0.001
_GIVE_UP_AFTER = 30.0
_KEPT = 100_000

_SQL = """
select sent.mid from unnest($1::text[], $2::text[]) as sent (page_id, mid)
join messages m on m.page_id = sent.page_id and m.mid = sent.mid and m.sent_ms is not null
"""


class Visible:
    """Follows new messages into the table `messages` of the Postgres at `dsn`."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._known: set[str] = set()
        self._pending: dict[str, tuple[str, float]] = {}
        self._some = asyncio.Event()
        self.milliseconds: deque[float] = deque(maxlen=_KEPT)
        self.lost = 0

    def sent(self, page_id: str, mid: str) -> None:
        """Note that a message is being told of; only its first telling counts."""
        if mid not in self._known:
            self._known.add(mid)
            self._pending[mid] = (page_id, time.perf_counter())
            self._some.set()

    async def run(self) -> None:
        """Look until cancelled; raises what the connection raises."""
        connection = await asyncpg.connect(self._dsn)
        try:
            while True:
                await self._some.wait()
                await self._look(connection)
                if not self._pending:
                    self._some.clear()
                await asyncio.sleep(_LOOK_EVERY)
        finally:
            await connection.close()

    async def _look(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        mids = list(self._pending)
        pages = [self._pending[mid][0] for mid in mids]
        found = await connection.fetch(_SQL, pages, mids)
        now = time.perf_counter()
        for row in found:
            _, sent_at = self._pending.pop(row["mid"])
            self.milliseconds.append((now - sent_at) * 1000)
        for mid in mids:
            if mid in self._pending and now - self._pending[mid][1] > _GIVE_UP_AFTER:
                del self._pending[mid]
                self.lost += 1

    def report(self) -> str:
        """Return one line of JSON: how many messages, and how long they took."""
        told: dict[str, float | int] = {"messages": len(self.milliseconds), "lost": self.lost}
        if len(self.milliseconds) > 1:
            cuts = statistics.quantiles(self.milliseconds, n=100, method="inclusive")
            told |= {"p50_ms": round(cuts[49], 1), "p99_ms": round(cuts[98], 1)}
        return json.dumps({"visible": told})
