"""What is told of a sync, from its row."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from ingress.api.reports import job_of_one
from shared.store.overview import RunOverview
from shared.store.runs import Counts, Run

NOW = datetime(2025, 11, 24, 12, tzinfo=UTC)


def run(status: str, mode: str = "full", **counts: int) -> RunOverview:
    return RunOverview(
        Run(
            id=uuid4(), page_id="1001", mode=mode, status=status, priority=0, since=None,
            options={}, requested_at=NOW, started_at=NOW - timedelta(seconds=60), finished_at=None,
            resume_at=None, counts=Counts(**counts), error_code=None, error=None,
        ),
        None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("total", "kept", "expected"),
    [
        (0, 100, (100, None)),  # nothing to tell the pace by
        (25, 100, (100, 180)),
        (99, 100, (100, 1)),
        (100, 100, (None, None)),  # there are more than were kept
        (25, None, (None, None)),  # an incremental walk ends where it ends
    ],
)
def test_a_sync_under_way_tells_how_long_it_will_take_where_that_can_be_known(
    total: int, kept: int | None, expected: tuple[int | None, int | None]
) -> None:
    progress = job_of_one(run("running", total=total), kept=kept, open_history=False, now=NOW)
    assert (progress.progress.total, progress.progress.eta_seconds) == expected
    assert progress.progress.synced == total


def test_an_ended_sync_knows_its_total_and_has_an_answer() -> None:
    job = job_of_one(run("complete", total=7, calls=3), kept=None, open_history=True, now=NOW)
    assert (job.progress.total, job.progress.calls, job.progress.eta_seconds) == (7, 3, None)
    assert b'"historyComplete":false' in bytes(job.result)
