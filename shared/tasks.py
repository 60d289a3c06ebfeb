"""Ending asyncio's tasks for certain."""

import asyncio
from collections.abc import Awaitable, Collection
from typing import Any


async def end(tasks: Collection["asyncio.Task[Any]"]) -> None:
    """Cancel tasks until they have ended; what they raise is left in them.

    Once is not enough: redis-py looks into a new connection under a timeout of zero seconds, and
    on Python 3.11 such a timeout may take a cancellation from outside for its own.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=0.5)


async def together(tasks: Collection["asyncio.Task[Any]"]) -> None:
    """Wait until all tasks are done; when one fails, end the others and raise its error."""
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        await end([task for task in tasks if not task.done()])
    for task in tasks:
        if not task.cancelled() and (error := task.exception()):
            raise error


async def each(*works: Awaitable[object]) -> None:
    """Wait until all is done, whatever fails; raise the first error afterwards."""
    for ended in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(ended, BaseException):
            raise ended
