"""What is told of a sync, from its row."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from ingress.api.reports import job_of_one
from shared.store.overview import RunOverview
from shared.store.progress import Progress
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


def test_a_sync_under_way_tells_how_far_it_is_and_when_it_may_end() -> None:
    progress = Progress(done=25, total=100, left=timedelta(seconds=179.6))
    job = job_of_one(run("running", total=25, calls=3), progress, open_history=False)
    assert (job.progress.synced, job.progress.total, job.progress.calls) == (25, 100, 3)
    assert job.progress.eta_seconds == 180
    assert bytes(job.result) == b"null"


def test_what_nobody_knows_is_told_as_null() -> None:
    progress = Progress(done=25, total=None, left=None)
    job = job_of_one(run("running", total=25), progress, open_history=False)
    assert (job.progress.total, job.progress.eta_seconds) == (None, None)


def test_an_ended_sync_has_an_answer() -> None:
    progress = Progress(done=7, total=7, left=None)
    job = job_of_one(run("complete", total=7, calls=3), progress, open_history=True)
    assert b'"historyComplete":false' in bytes(job.result)
