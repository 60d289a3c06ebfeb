"""Tasks end for certain, and what went wrong in one is what is told."""

import asyncio
from contextlib import suppress

import pytest

from shared.tasks import end, together


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    cancelled = []

    async def stubborn() -> None:
        while len(cancelled) < 2:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            cancelled.append(1)

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await end([task])
    assert task.done()


async def test_when_one_fails_the_others_end_and_its_error_is_raised() -> None:
    async def waits() -> None:
        await asyncio.Event().wait()

    async def fails() -> None:
        raise ZeroDivisionError

    tasks = [asyncio.create_task(waits()), asyncio.create_task(fails())]
    with pytest.raises(ZeroDivisionError):
        await together(tasks)
    assert all(task.done() for task in tasks)


async def test_tasks_that_end_by_themselves_end_together() -> None:
    tasks = [asyncio.create_task(asyncio.sleep(0)) for _ in range(3)]
    await together(tasks)
    assert all(task.done() for task in tasks)
