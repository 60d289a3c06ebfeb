import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, TypeAlias

from cyclopts import Parameter
from msgspec.structs import asdict

from ingress.cli import configuration, postgres, show
from ingress.cli.problem import FAILED, OK, USAGE, Problem
from shared.config import Settings
from shared.store import pages, runs
from shared.store.database import Database
from shared.store.runs import Run

LOOK_EVERY = 0.2
PATIENCE = 10
"""Seconds after which a run that nobody has begun makes us ask whether a worker runs."""

Named: TypeAlias = list[tuple[str, Run]]
"""Runs, each with its Page's name."""


async def sync(
    page: Annotated[
        str | None,
        Parameter(name="PAGE", help="Our id, Facebook's id or its Instagram account's id."),
    ] = None,
    /,
    *,
    everything: Annotated[
        bool, Parameter(name="--all", negative="", help="Every active Page.")
    ] = False,
    full: Annotated[
        bool, Parameter(negative="", help="Walk it whole, not only what is new.")
    ] = False,
    wait: Annotated[bool, Parameter(negative="", help="Show progress until it has ended.")] = False,
    as_json: show.AsJson = False,
) -> int:
    """Ask the workers to sync a Page with Facebook; a sync that runs already is joined.

    For example:

        pagewire sync --all --wait
    """
    if (page is None) != everything:
        raise Problem("Say which Page, or --all.", todo="`pagewire page list`", status=USAGE)
    settings = configuration.settings("database_url")
    async with postgres.connected(settings) as database:
        run, asked = await _ask(database, page, full=full)
        await _begin(settings, run)
        if wait:
            asked = await _followed(database, run, asked)
    if as_json:
        shown = [{**asdict(one), "counts": asdict(one.counts), "page": name} for name, one in asked]
        show.json(shown if everything else shown[0])
    else:
        show.table((_row(name, one) for name, one in asked), empty="There is no active Page.")
    return FAILED if wait and any(one.status != "complete" for _, one in asked) else OK


async def _ask(database: Database, page: str | None, *, full: bool) -> tuple[Run, Named]:
    from shared.facebook.limits import Priority

    if page is None:
        batch = await runs.request_all(database, full=full, priority=Priority.PEOPLE)
        return batch, await runs.members(database, batch.id)
    found = await pages.find(database, page)
    run, _ = await runs.request(
        database,
        found.facebook_page_id,
        "full" if full else "incremental",
        priority=Priority.PEOPLE,
    )
    if _rests(run):
        raise Problem(
            f"{found.name} cannot be synced.",
            run.error or "",
            f"`pagewire page resume {page}`, or add it again with a token: `pagewire page add`.",
        )
    return run, [(found.name, run)]


async def _begin(settings: Settings, run: Run) -> None:
    """Have a worker begin at once; without Redis a sweep finds the run."""
    from ingress.cli import jobs
    from shared.queue import NOW, SyncStep

    try:
        async with jobs.connected(settings) as queue:
            await queue.put(SyncStep(run_id=str(run.id)), queue=NOW)
    except Problem as problem:
        show.note(f"The sync is noted, and begins once Redis is back:\n{problem}")


async def _followed(database: Database, run: Run, asked: Named) -> Named:
    """Show progress until all runs have ended or rest until a person acts."""
    began, warned = time.monotonic(), False
    with _progress() as tell:
        while not all(_has_ended(one) for _, one in asked):
            await asyncio.sleep(LOOK_EVERY)
            if run.mode == "all":
                asked = await runs.members(database, run.id)
            else:
                asked = [(name, await runs.find(database, run.id)) for name, _ in asked]
            tell(asked)
            idle = all(one.status == "queued" for _, one in asked)
            if idle and not warned and time.monotonic() - began > PATIENCE:
                show.note("No worker has begun yet: does one run? (`python -m worker`)")
                warned = True
    return asked


def _has_ended(run: Run) -> bool:
    return run.status in {"complete", "failed"} or _rests(run)


def _rests(run: Run) -> bool:
    """Tell whether a run goes on only after a person has acted."""
    return run.status == "interrupted" and run.resume_at is None


@contextmanager
def _progress() -> Iterator[Callable[[Named], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        bar = progress.add_task("conversations", total=None)

        def tell(asked: Named) -> None:
            totals = [one.counts.total for _, one in asked]
            progress.update(
                bar,
                completed=sum(one.counts.synced for _, one in asked),
                total=sum(totals) if all(totals) else None,
            )

        yield tell


def _row(name: str, run: Run) -> dict[str, object]:
    return {
        "page": name,
        "sync": run.mode,
        "state": run.status,
        "conversations": run.counts.synced,
        "new": run.counts.inserted,
        "changed": run.counts.updated,
        "run": run.id,
        "error": run.error,
    }
