"""A sync as the API tells it: as a job, and as the answers of the system this one replaces."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Raw

from ingress.api.shapes import Job, PageResult, Progress, SyncAllAnswer, SyncAnswer, Totals
from shared.store.overview import RunOverview
from shared.store.runs import Run

_ENDED = frozenset({"complete", "failed"})


def job_of_one(found: RunOverview, *, kept: int | None, open_history: bool, now: datetime) -> Job:
    """Return the sync of one Page as a job, with its answer if it has ended.

    `kept` is how many conversations a full walk is known to find at least.
    """
    run = found.run
    answer = _answer(run, open_history=open_history) if run.status in _ENDED else None
    return _job(found, _progress(run, kept, now), answer)


def job_without_answer(found: RunOverview, *, kept: int | None, now: datetime) -> Job:
    """Return any sync as a job among others; `kept` as in `job_of_one`."""
    return _job(found, _progress(found.run, kept, now), None)


def job_of_all(found: RunOverview, members: Sequence[RunOverview], *, open_history: bool) -> Job:
    """Return the sync of many Pages as a job; `members` are those it stands for."""
    run = found.run
    answer = None
    if run.status in _ENDED:
        answer = _answer_of_all(run, members, open_history=open_history)
    counts = [one.run.counts for one in members]
    progress = Progress(
        synced=sum(one.total for one in counts),
        total=None,
        inserted=sum(one.inserted for one in counts),
        updated=sum(one.updated for one in counts),
        calls=sum(one.calls for one in counts),
        eta_seconds=None,
    )
    return _job(found, progress, answer)


def _job(found: RunOverview, progress: Progress, answer: SyncAnswer | SyncAllAnswer | None) -> Job:
    run = found.run
    return Job(
        job_id=run.id,
        state=run.status,
        mode=run.mode,
        page=found.page,
        progress=progress,
        started_at=run.started_at,
        finished_at=run.finished_at,
        resume_at=run.resume_at,
        error=run.error,
        result=Raw(msgspec.json.encode(answer)),
    )


def _progress(run: Run, kept: int | None, now: datetime) -> Progress:
    counts = run.counts
    total = counts.total if run.status in _ENDED else kept
    eta = None
    if total is not None and total <= counts.total and run.status not in _ENDED:
        total = None  # there are more than we kept: nobody knows how many
    elif total is not None and run.status == "running" and run.started_at and counts.total:
        elapsed = (now - run.started_at).total_seconds()
        eta = round(elapsed * (total - counts.total) / counts.total)
    return Progress(
        synced=counts.total,
        total=total,
        inserted=counts.inserted,
        updated=counts.updated,
        calls=counts.calls,
        eta_seconds=eta,
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
