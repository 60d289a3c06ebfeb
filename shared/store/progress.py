"""How far syncs have come, and when they may end: what nobody knows is not guessed.

Facebook says of no listing how long it is. What is stored says it of a Page that was walked whole
before, and of histories, labels and names, whose conversations are known; of nothing else.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct

from shared.store import queries
from shared.store.database import Database
from shared.store.runs import Run

_SQL = queries.load("progress.sql")

ENDED = frozenset({"complete", "failed"})


class Progress(Struct, frozen=True, kw_only=True):
    """`done` conversations of about `total` were gone through; the rest takes about `left`."""

    done: int
    total: int | None
    left: timedelta | None


def progress(
    runs: Sequence[Run], expected: Mapping[UUID, int], *, since: datetime | None, now: datetime
) -> Progress:
    """Return how far runs have come together, at the pace they had `since` they began.

    `expected` is as `Expected` tells it.
    """
    done = sum(run.counts.total for run in runs)
    totals = [_total(run, expected) for run in runs]
    known = [total for total in totals if total is not None]
    if len(known) < len(runs):
        return Progress(done=done, total=None, left=None)
    total, left = sum(known), None
    if since is not None and done and any(run.status == "running" for run in runs):
        left = (now - since) * (total - done) / done
    return Progress(done=done, total=total, left=left)


def _total(run: Run, expected: Mapping[UUID, int]) -> int | None:
    rests = run.status == "interrupted" and run.resume_at is None
    if run.status in ENDED or rests:
        return run.counts.total
    total = expected.get(run.id)
    # Where there is more than was stored, nobody knows how much more.
    return total if total is not None and total > run.counts.total else None


class Expected:
    """Counts what runs will go through; as often as costs little, since conversations are many."""

    SHARE = 0.05
    """The part of the time that may go into counting while somebody looks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counted: dict[UUID, _Counted] = {}

    async def of(self, runs: Sequence[Run]) -> dict[UUID, int]:
        """Return how many conversations each run will have gone through, where that is known."""
        began = time.monotonic()
        asked = {run.id for run in runs if run.status not in ENDED}
        self._counted = {
            run_id: counted
            for run_id, counted in self._counted.items()
            if counted.believed_until > began
        }
        if uncounted := asked - self._counted.keys():
            async with self._database.connection() as connection:
                rows = await connection.fetch(_SQL["expected"], list(uncounted))
            totals = {row["id"]: row["total"] for row in rows}
            ended = time.monotonic()
            until = ended + (ended - began) / self.SHARE
            self._counted |= {one: _Counted(totals.get(one), until) for one in uncounted}
        return {
            run_id: counted.total
            for run_id, counted in self._counted.items()
            if counted.total is not None
        }


class _Counted(Struct, frozen=True):
    total: int | None
    believed_until: float
