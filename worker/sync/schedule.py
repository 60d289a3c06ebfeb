"""Which Pages are due for a sync: pure, from what is stored.

A Page with traffic is looked at sooner than a quiet one, and no two at the same moment. What was
missed while nobody looked is caught up once: what counts is when a Page was last asked for.
"""

import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

from shared import metrics
from shared.facebook.graph.limits import Priority
from shared.store import coverage, runs
from shared.store.coverage import PageActivity
from shared.store.database import Database

_RHYTHMS = (
    (timedelta(minutes=15), 0.5),
    (timedelta(days=1), 1),
    (timedelta(days=7), 3),
)
"""How long ago the last message may be, and how much of the interval that makes."""

_QUIET = 12
"""The same for a Page without a message in a week."""

_JITTER = 0.1
"""By which part of its rhythm a Page may differ from others."""


_SILENCE = 20
"""By how much a Page's usual pause must be exceeded to be called silence."""

_SHORTEST_SILENCE = timedelta(hours=6)


PROOF_HOLDS = timedelta(days=7)
"""How long a verification says something about a Page."""


class Due(Struct, frozen=True):
    """Pages to be walked, by Facebook's ids: whole, or down to their sync points."""

    full: list[str]
    incremental: list[str]


def due(
    pages: Iterable[PageActivity], *, interval: timedelta, full_interval: timedelta, now: datetime
) -> Due:
    """Return the Pages that are due; none when `interval` is 0.

    A Page that is being walked, or waits for its walk to go on, is not due.
    """
    found = Due([], [])
    for page in pages if interval else ():
        if page.is_walking:
            continue
        spread = 1 + _JITTER * _dice(page.page_id)
        if page.walked_at is None or now - page.walked_at >= full_interval * spread:
            if _is_time(page, now, interval):
                found.full.append(page.page_id)
        elif _is_time(page, now, _rhythm(page, interval, now) * spread):
            found.incremental.append(page.page_id)
    return found


def _rhythm(page: PageActivity, interval: timedelta, now: datetime) -> timedelta:
    silence = now - page.last_message_at if page.last_message_at else None
    for longest, part in _RHYTHMS:
        if silence is not None and silence <= longest:
            return interval * part
    return interval * _QUIET


def _is_time(page: PageActivity, now: datetime, rhythm: timedelta) -> bool:
    return page.asked_at is None or now - page.asked_at >= rhythm


def _dice(page_id: str) -> float:
    """Return a number from -1 to 1 that is the Page's own."""
    return zlib.crc32(page_id.encode()) / 0x7FFF_FFFF - 1


def is_silent(page: PageActivity, now: datetime) -> bool:
    """Tell whether a Page has said nothing for much longer than is usual for it."""
    if page.last_message_at is None or not page.recent:
        return False
    usual = timedelta(days=7) / page.recent
    return now - page.last_message_at > max(_SHORTEST_SILENCE, usual * _SILENCE)


async def ask_for_due(
    database: Database, *, interval: timedelta, full_interval: timedelta, now: datetime
) -> None:
    """Ask for the walks that are due; as one batch, so that they share their requests."""
    pages = await coverage.page_activity(database)
    _tell(pages, now)
    found = due(pages, interval=interval, full_interval=full_interval, now=now)
    for full, page_ids in ((True, found.full), (False, found.incremental)):
        if page_ids:
            await runs.request_all(database, full=full, priority=Priority.CRON, pages=page_ids)


def _tell(pages: Iterable[PageActivity], now: datetime) -> None:
    """Tell the metrics who is silent, and of whom it is proven that nothing is missing."""
    silent = unproven = 0
    metrics.page_proven.clear()
    for page in pages:
        silent += is_silent(page, now)
        unproven += page.proven_at is None or now - page.proven_at > PROOF_HOLDS
        at = page.proven_at.timestamp() if page.proven_at else 0
        metrics.page_proven.labels(page.page_id, page.proven_level or "").set(at)
    metrics.pages_silent.set(silent)
    metrics.pages_unproven.set(unproven)
