"""Runs that workers were asked for: begun at once, and followed until they end."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from msgspec.structs import asdict

from ingress.cli import show
from ingress.cli.problem import Problem
from shared.config import Settings
from shared.store.database import Database
from shared.store.pages import Page
from shared.store.progress import Expected, Progress, progress
from shared.store.runs import Run

LOOK_EVERY = 0.2
PATIENCE = 10
"""Seconds after which a run that nobody has begun makes us ask whether a worker runs."""

Named: TypeAlias = list[tuple[str, Run]]
"""Runs, each with its Page's name."""


async def begin(settings: Settings, asked: Iterable[Run]) -> None:
    """Have workers begin at once; without Redis their sweep finds the runs."""
    from ingress.cli import jobs
    from shared.facebook.graph.limits import Priority
    from shared.queue import LATER, NOW, SyncStep

    try:
        async with jobs.connected(settings) as queue:
            for run in asked:
                where = NOW if run.priority == Priority.PEOPLE else LATER
                await queue.put(SyncStep(run_id=str(run.id)), queue=where)
    except Problem as problem:
        show.note(f"It is noted, and begins once Redis is back:\n{problem}")


async def followed(database: Database, asked: Named, look: Callable[[], Awaitable[Named]]) -> Named:
    """Show progress until all runs have ended, or rest until a person acts; return them."""
    began, warned, expected = time.monotonic(), False, Expected(database)
    with _bar() as tell:
        while not all(_has_ended(run) for _, run in asked):
            await asyncio.sleep(LOOK_EVERY)
            asked = await look()
            tell(await _progress([run for _, run in asked], expected))
            idle = all(run.status == "queued" for _, run in asked)
            if idle and not warned and time.monotonic() - began > PATIENCE:
                show.note("No worker has begun yet: does one run? (`python -m worker`)")
                warned = True
    return asked


def _has_ended(run: Run) -> bool:
    return run.status in {"complete", "failed"} or rests(run)


def rests(run: Run) -> bool:
    """Tell whether a run goes on only after a person has acted."""
    return run.status == "interrupted" and run.resume_at is None


def resting(page: Page, run: Run) -> Problem:
    """Return what to tell of a Page whose run rests from the beginning."""
    return Problem(
        f"{page.name} rests.",
        run.error or "",
        f"`pagewire page resume {page.facebook_page_id}`, or `pagewire page add` with a token.",
    )


def told(name: str, run: Run) -> dict[str, object]:
    """Return what programs are told of a run."""
    return {**asdict(run), "counts": asdict(run.counts), "page": name}


async def _progress(runs: Sequence[Run], expected: Expected) -> Progress:
    began = min((run.started_at for run in runs if run.started_at), default=None)
    return progress(runs, await expected.of(runs), since=began, now=datetime.now(UTC))


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("waiting for a worker", total=None)

        def tell(now: Progress) -> None:
            bars.update(bar, description=said(now), completed=now.done, total=now.total)

        yield tell


def said(now: Progress) -> str:
    """Return how far runs have come, in words."""
    if now.total is None:
        return f"{now.done} conversations, of an unknown number"
    if now.left is None:
        return f"{now.done} of about {now.total} conversations"
    left = timedelta(seconds=round(now.left.total_seconds()))
    return f"{now.done} of about {now.total} conversations, about {left} left"
