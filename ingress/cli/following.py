"""Runs that workers were asked for: begun at once, and followed until they end."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeAlias
from uuid import UUID

from msgspec.structs import asdict

from ingress.cli import show
from ingress.cli.problem import Problem
from shared.config import Settings
from shared.store.pages import Page
from shared.store.runs import Run

LOOK_EVERY = 0.2
PATIENCE = 10
"""Seconds after which a run that nobody has begun makes us ask whether a worker runs."""

Named: TypeAlias = list[tuple[str, Run]]
"""Runs, each with its Page's name."""


async def begin(settings: Settings, asked: Iterable[UUID]) -> None:
    """Have workers begin at once; without Redis their sweep finds the runs."""
    from ingress.cli import jobs
    from shared.queue import NOW, SyncStep

    try:
        async with jobs.connected(settings) as queue:
            for run in asked:
                await queue.put(SyncStep(run_id=str(run)), queue=NOW)
    except Problem as problem:
        show.note(f"It is noted, and begins once Redis is back:\n{problem}")


async def followed(asked: Named, look: Callable[[], Awaitable[Named]]) -> Named:
    """Show progress until all runs have ended, or rest until a person acts; return them."""
    began, warned = time.monotonic(), False
    with _progress() as tell:
        while not all(_has_ended(run) for _, run in asked):
            await asyncio.sleep(LOOK_EVERY)
            asked = await look()
            tell(asked)
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
