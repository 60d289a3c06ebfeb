"""Keeps tasks going: each is started again when it fails, without the others noticing."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping

from shared import log, metrics

_log = log.get(__name__)

# A task that ran this long had started well: its next failure waits the shortest time again.
_WELL = 30.0
_LONGEST_WAIT = 5.0


async def keep(tasks: Mapping[str, Callable[[], Awaitable[None]]], stop: asyncio.Event) -> None:
    """Run named tasks until `stop` is set; each must then end by itself."""
    async with asyncio.TaskGroup() as group:
        for name, start in tasks.items():
            group.create_task(_keep_one(name, start, stop), name=name)


async def _keep_one(name: str, start: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    failures = 0
    while not stop.is_set():
        began = time.monotonic()
        try:
            await start()
        except Exception as error:
            failures = 1 if time.monotonic() - began > _WELL else failures + 1
            metrics.task_restarts.labels(name).inc()
            _log.warning("task_failed", task=name, error=_cause(error), failures=failures)
            await wait(stop, random.uniform(0.05, min(_LONGEST_WAIT, 0.1 * 2**failures)))  # noqa: S311


async def wait(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, but not past the moment `stop` is set."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def _cause(error: BaseException) -> str:
    """Name an error without its text, which may quote what must not be logged."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__
