"""Which Pages are due."""

from datetime import UTC, datetime, timedelta

from shared.store.coverage import PageActivity
from worker.sync.schedule import due, is_silent

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def page(page_id="1", **known) -> PageActivity:
    told = {
        "is_walking": False,
        "asked_at": NOW - HOUR,
        "walked_at": NOW - HOUR,
        "proven_at": None,
        "proven_level": None,
        "last_message_at": NOW - HOUR,
        "recent": 10,
    }
    return PageActivity(page_id=page_id, **told | known)


def what(*pages, interval=5 * MINUTE, full_interval=DAY):
    found = due(pages, interval=interval, full_interval=full_interval, now=NOW)
    return found.full, found.incremental


def test_a_page_nobody_ever_asked_for_gets_a_full_walk():
    assert what(page(asked_at=None, walked_at=None)) == (["1"], [])


def test_a_page_is_due_once_its_rhythm_has_passed():
    assert what(page(asked_at=NOW - 4 * MINUTE)) == ([], [])
    assert what(page(asked_at=NOW - 6 * MINUTE)) == ([], ["1"])


def test_a_lively_page_is_looked_at_sooner_and_a_quiet_one_later():
    lively, asleep, empty = NOW - MINUTE, NOW - 3 * DAY, None
    assert what(page(asked_at=NOW - 3 * MINUTE, last_message_at=lively)) == ([], ["1"])
    assert what(page(asked_at=NOW - 6 * MINUTE, last_message_at=asleep)) == ([], [])
    assert what(page(asked_at=NOW - 17 * MINUTE, last_message_at=asleep)) == ([], ["1"])
    assert what(page(asked_at=NOW - 17 * MINUTE, last_message_at=empty)) == ([], [])
    assert what(page(asked_at=NOW - 70 * MINUTE, last_message_at=empty)) == ([], ["1"])


def test_pages_of_one_rhythm_are_not_due_at_one_moment():
    pages = [page(str(n), asked_at=NOW - 5 * MINUTE) for n in range(200)]
    _, found = what(*pages)
    assert 60 < len(found) < 140


def test_after_a_day_everything_is_walked_again():
    assert what(page(walked_at=NOW - 27 * HOUR)) == (["1"], [])


def test_a_walk_that_failed_is_not_asked_for_again_at_once():
    assert what(page(walked_at=NOW - 27 * HOUR, asked_at=NOW - MINUTE)) == ([], [])


def test_a_page_that_is_being_walked_is_not_due():
    assert what(page(is_walking=True, asked_at=None, walked_at=None)) == ([], [])


def test_what_was_missed_is_caught_up_once():
    assert what(page(asked_at=NOW - 10 * HOUR)) == ([], ["1"])


def test_an_interval_of_zero_means_that_nothing_is_synced_by_itself():
    assert what(page(asked_at=None, walked_at=None), interval=timedelta()) == ([], [])


def test_silence_is_measured_by_what_is_usual_for_the_page():
    assert not is_silent(page(recent=500, last_message_at=NOW - 5 * HOUR), NOW)
    assert is_silent(page(recent=500, last_message_at=NOW - 7 * HOUR), NOW)
    assert not is_silent(page(recent=2, last_message_at=NOW - 3 * DAY), NOW)
    assert not is_silent(page(recent=0, last_message_at=None), NOW)
