"""How far syncs have come, and when they may end."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from shared.store.progress import Progress, progress
from shared.store.runs import Counts, Run

NOW = datetime(2025, 11, 24, 12, tzinfo=UTC)
BEGAN = NOW - timedelta(seconds=60)


def run(status: str = "running", done: int = 0, resume_at: datetime | None = None) -> Run:
    return Run(
        id=uuid4(), page_id="1001", mode="full", status=status, priority=0, since=None, options={},
        requested_at=BEGAN, started_at=BEGAN, finished_at=None, resume_at=resume_at,
        counts=Counts(total=done), error_code=None, error=None,
    )  # fmt: skip


def told(*expected: tuple[Run, int | None]) -> Progress:
    return progress(
        [one for one, _ in expected],
        {one.id: total for one, total in expected if total is not None},
        since=BEGAN,
        now=NOW,
    )


@pytest.mark.parametrize(
    ("done", "expected", "total", "seconds"),
    [
        (0, 100, 100, None),  # nothing to tell the pace by
        (25, 100, 100, 180),
        (75, 100, 100, 20),
        (100, 100, None, None),  # there are more than were known
        (25, None, None, None),  # an incremental walk ends where it ends
    ],
)
def test_what_is_left_follows_from_the_pace_and_the_total_where_that_is_known(
    done: int, expected: int | None, total: int | None, seconds: int | None
) -> None:
    left = None if seconds is None else timedelta(seconds=seconds)
    assert told((run(done=done), expected)) == Progress(done=done, total=total, left=left)


def test_what_has_ended_knows_its_total_and_has_nothing_left() -> None:
    assert told((run("complete", done=7), None)) == Progress(done=7, total=7, left=None)


def test_many_runs_are_as_far_as_they_are_together() -> None:
    found = told((run(done=10), 40), (run("complete", done=20), None), (run("queued"), 60))
    assert found == Progress(done=30, total=120, left=timedelta(seconds=180))


def test_one_run_of_unknown_length_makes_the_whole_unknown() -> None:
    assert told((run(done=10), 40), (run(done=5), None)).total is None


def test_a_run_that_rests_until_a_person_acts_holds_up_no_forecast() -> None:
    found = told((run(done=10), 40), (run("interrupted", done=3), None))
    assert (found.total, found.left) == (43, timedelta(seconds=60 * 30 / 13))


@pytest.mark.parametrize("waits", [run("queued", 10), run("interrupted", 10, resume_at=NOW)])
def test_a_run_that_does_not_run_promises_no_end(waits: Run) -> None:
    assert told((waits, 40)) == Progress(done=10, total=40, left=None)
