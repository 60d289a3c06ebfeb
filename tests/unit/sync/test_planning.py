"""What a walk has to cover."""

from datetime import UTC, datetime, timedelta

from shared.store.coverage import Point
from worker.sync.listings import Place
from worker.sync.planning import plan

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
POINT = NOW - timedelta(minutes=5)
OVERLAP = timedelta(minutes=10)
ALL = ["inbox", "page_done", "other", "pending", "spam"]


def point(folder="inbox", platform="messenger", synced_to=POINT, set_aside=None) -> Point:
    return Point(
        platform=platform,
        folder=folder,
        synced_to=synced_to,
        walked_at=synced_to,
        set_aside=set_aside,
        set_aside_at=NOW if set_aside else None,
    )


def planned(mode="incremental", points=(), *, since=None, instagram=False) -> Place:
    return plan(
        mode,
        since=since,
        points=points,
        instagram=instagram,
        overlap=OVERLAP,
        limit=100,
        nested=25,
        now=NOW,
    )


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def test_a_first_walk_lists_every_folder_to_its_end():
    place = planned("full")
    assert [listing.folder for listing in place.listings] == ALL
    assert all(listing.stop_ms is listing.inner_ms is None for listing in place.listings)
    assert not place.linked


def test_an_incremental_walk_stops_an_overlap_before_the_sync_point():
    (inbox,) = planned(points=[point()]).listings
    assert inbox.stop_ms == inbox.inner_ms == ms(POINT - OVERLAP)


def test_a_later_full_walk_lists_everything_but_reads_inwards_only_to_the_sync_point():
    inbox, *_ = planned("full", [point()]).listings
    assert inbox.stop_ms is None
    assert inbox.inner_ms == ms(POINT - OVERLAP)


def test_other_folders_are_walked_once_an_hour():
    fresh, stale = NOW - timedelta(minutes=50), NOW - timedelta(minutes=70)
    points = [point(), point("spam", synced_to=fresh), point("other", synced_to=stale)]
    assert [listing.folder for listing in planned(points=points).listings] == ["inbox", "other"]


def test_instagram_is_walked_where_an_account_is_linked():
    place = planned("full", instagram=True)
    assert place.linked
    assert [(one.platform, one.folder) for one in place.listings][:2] == [
        ("messenger", "inbox"),
        ("instagram", "inbox"),
    ]


def test_what_could_not_be_read_waits_for_the_next_full_walk():
    points = [point(), point(platform="instagram", synced_to=None, set_aside="closed")]
    assert len(planned(points=points, instagram=True).listings) == 1
    assert len(planned("full", points, instagram=True).listings) == 6


def test_a_repair_begins_before_the_gap():
    gap = NOW - timedelta(days=2)
    place = planned("repair", [point(), point("spam")], since=gap)
    assert place.listings[0].stop_ms == ms(gap - OVERLAP)
    assert [one.folder for one in place.listings] == ALL


def test_a_repair_begins_at_a_sync_point_that_is_older_than_the_gap():
    older = NOW - timedelta(days=9)
    place = planned("repair", [point(synced_to=older)], since=NOW - timedelta(days=2))
    assert place.listings[0].stop_ms == ms(older - OVERLAP)
