"""What a walk has to cover: pure, from what was asked for and what is stored."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from shared.events import Platform
from shared.store.coverage import Point
from shared.store.runs import Mode
from worker.sync.listings import Listing, Place

FOLDERS = ("page_done", "other", "pending", "spam")
"""Messenger's folders beside the inbox; what is moved there tells no webhook.

https://developers.facebook.com/docs/graph-api/reference/page/conversations
"""

FOLDERS_EVERY = timedelta(hours=1)


def plan(
    mode: Mode,
    *,
    since: datetime | None,
    points: Iterable[Point],
    instagram: bool,
    overlap: timedelta,
    limit: int,
    nested: int,
    now: datetime,
) -> Place:
    """Return the place a walk begins at.

    A full walk lists everything; an incremental one stops at each listing's sync point, a repair
    before `since`, each less the overlap. What could not be read is tried again by full walks.
    """
    known = {(point.platform, point.folder): point for point in points}
    planned = []
    for platform, folder in listings(instagram=instagram):
        point = known.get((platform, folder))
        if mode != "full" and not _is_due(folder, point, mode, now):
            continue
        bound = _bound(point, since, overlap)
        planned.append(
            Listing(
                platform=platform,
                folder=folder,
                stop_ms=None if mode == "full" else bound,
                inner_ms=bound,
                limit=limit,
                nested=nested,
            )
        )
    return Place(linked=instagram or mode != "full", listings=planned)


def listings(*, instagram: bool) -> list[tuple[Platform, str]]:
    """Return every listing a Page has, the inbox first."""
    inboxes: list[tuple[Platform, str]] = [("messenger", "inbox")]
    if instagram:
        inboxes.append(("instagram", "inbox"))
    return inboxes + [("messenger", folder) for folder in FOLDERS]


def _is_due(folder: str, point: Point | None, mode: Mode, now: datetime) -> bool:
    if point is not None and point.set_aside is not None:
        return False
    if folder == "inbox" or mode == "repair":
        return True
    # A folder that no full walk has seen yet waits for one.
    return point is not None and (
        point.synced_to is not None and now - point.synced_to >= FOLDERS_EVERY
    )


def _bound(point: Point | None, since: datetime | None, overlap: timedelta) -> int | None:
    """Return the time (ms) from which on everything is read again, None for no such time."""
    if point is None or point.synced_to is None:
        return None
    start = point.synced_to if since is None else min(since, point.synced_to)
    return int((start - overlap).timestamp() * 1000)
