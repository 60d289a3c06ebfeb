"""A sync as the API tells it: as a job, and as the answers of the system this one replaces."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from ingress.api import shapes
from ingress.api.shapes import Job, PageResult, SyncAllAnswer, SyncAnswer, Totals
from shared.store.overview import RunOverview
from shared.store.progress import ENDED, Progress
from shared.store.runs import Run


def job_of_one(found: RunOverview, progress: Progress, *, open_history: bool) -> Job:
    """Return the sync of one Page as a job, with its answer if it has ended."""
    run = found.run
    answer = _answer(run, open_history=open_history) if run.status in ENDED else None
    return _job(found, [run], progress, answer)


def job_without_answer(found: RunOverview, progress: Progress) -> Job:
    """Return any sync as a job among others."""
    return _job(found, [found.run], progress, None)


def job_of_all(
    found: RunOverview, members: Sequence[RunOverview], progress: Progress, *, open_history: bool
) -> Job:
    """Return the sync of many Pages as a job; `members` are those it stands for."""
    run = found.run
    answer = None
    if run.status in ENDED:
        answer = _answer_of_all(run, members, open_history=open_history)
    return _job(found, [one.run for one in members], progress, answer)


def _job(
    found: RunOverview,
    runs: Sequence[Run],
    progress: Progress,
    answer: SyncAnswer | SyncAllAnswer | None,
) -> Job:
    run = found.run
    return Job(
        job_id=run.id,
        state=run.status,
        mode=run.mode,
        page=found.page,
        progress=shapes.Progress(
            synced=progress.done,
            total=progress.total,
            inserted=sum(one.counts.inserted for one in runs),
            updated=sum(one.counts.updated for one in runs),
            calls=sum(one.counts.calls for one in runs),
            eta_seconds=None if progress.left is None else round(progress.left.total_seconds()),
        ),
        started_at=run.started_at,
        finished_at=run.finished_at,
        resume_at=run.resume_at,
        error=run.error,
        result=Raw(msgspec.json.encode(answer)),
    )


def _answer(run: Run, *, open_history: bool) -> SyncAnswer:
    counts, mode = run.counts, _mode(run)
    return SyncAnswer(
        success=run.status == "complete",
        synced=counts.synced,
        inserted=counts.inserted,
        updated=counts.updated,
        skipped=counts.skipped,
        total=counts.total,
        events_created=counts.events_created,
        sync_mode=mode,
        message=f"{mode.capitalize()} sync: {counts.synced} conversation(s)"
        f" with {counts.events_created} events",
        job_id=run.id,
        duration=_duration(run),
        complete=run.status == "complete",
        history_complete=run.status == "complete" and not open_history,
    )


def _answer_of_all(
    batch: Run, members: Sequence[RunOverview], *, open_history: bool
) -> SyncAllAnswer:
    results = [_result(one) for one in members]
    succeeded = sum(result.success for result in results)
    complete = succeeded == len(results)
    return SyncAllAnswer(
        success=complete,
        total_pages=len(results),
        results=results,
        totals=Totals(
            total_synced=sum(result.synced for result in results),
            total_inserted=sum(result.inserted for result in results),
            total_updated=sum(result.updated for result in results),
            success_count=succeeded,
            failure_count=len(results) - succeeded,
        ),
        duration=_duration(batch),
        message=f"Synced {succeeded} of {len(results)} Page(s)",
        job_id=batch.id,
        complete=complete,
        history_complete=complete and not open_history,
    )


def _result(found: RunOverview) -> PageResult:
    run = found.run
    success = run.status == "complete"
    return PageResult(
        page_id=run.page_id or "",
        page_name=found.page.name if found.page else "",
        success=success,
        synced=run.counts.synced,
        inserted=run.counts.inserted,
        updated=run.counts.updated,
        sync_mode=_mode(run),
        job_id=run.id,
        error=None if success else run.error or f"The sync is {run.status}.",
    )


def _mode(run: Run) -> str:
    """Return the mode in the words of the original system, which knew two."""
    return "full" if run.mode == "full" else "incremental"


def _duration(run: Run) -> int:
    """Return how long a sync took, in milliseconds."""
    if run.started_at is None or run.finished_at is None:
        return 0
    return round((run.finished_at - run.started_at).total_seconds() * 1000)
