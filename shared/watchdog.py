"""Tells when the event loop stands still, and where; ends a process that does not end by itself.

While somebody computes, or waits without `await`, nothing of this process answers, `/readyz`
neither, so whoever asks for that takes it for not ready; only a thread beside the loop can still
see what it is busy with.
"""

import asyncio
import os
import sys
import threading
import time
import traceback
from typing import Any

from shared import log, metrics

_log = log.get(__name__)

STILL = 0.25
"""Seconds without a turn after which the loop is said to stand still."""

_EVERY = 0.25
_FRAMES = 12  # the innermost ones: the outer are asyncio's

LATEST_EXIT = 9.5
"""Seconds after SIGTERM; whatever hangs then is cut off, and done again from where it was kept."""


class Watchdog:
    """Watches the loop that runs it; a standstill is told once, however long it lasts."""

    def __init__(self) -> None:
        self._over = threading.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until `stop`."""
        thread = threading.Thread(target=self._watch, args=[threading.get_ident()], daemon=True)
        self._turn()
        thread.start()
        try:
            await stop.wait()
        finally:
            self._next.cancel()
            self._over.set()

    def _turn(self) -> None:
        self._turned = time.monotonic()
        self._next = asyncio.get_running_loop().call_later(_EVERY, self._turn)

    def _watch(self, loop_thread: int) -> None:
        told = False
        while not self._over.wait(_EVERY):
            still = time.monotonic() - self._turned > _EVERY + STILL
            if still and not told:
                metrics.loop_standstills.inc()
                _log.warning("loop_stands_still", at=_where(loop_thread))
            told = still


def _where(thread: int) -> list[str]:
    """Return the innermost calls of a thread, as `file:line function`; no values."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - there is no other way
    calls = traceback.extract_stack(frame, _FRAMES) if frame else []
    return [f"{call.filename}:{call.lineno} {call.name}" for call in calls]


async def end_in_time(stop: asyncio.Event) -> None:
    """End the process LATEST_EXIT after `stop`, saying what still runs; cancel it if it ends."""
    await stop.wait()
    await asyncio.sleep(LATEST_EXIT)
    running = asyncio.all_tasks() - {asyncio.current_task()}
    _log.error("does_not_end", running=sorted(map(_place, running)))
    os._exit(1)


def _place(task: "asyncio.Task[Any]") -> str:
    """Return where a task waits: its name, and the calls of ours and of others that lead there."""
    calls: list[str] = []
    waits: Any = task.get_coro()
    while frame := getattr(waits, "cr_frame", None):
        calls.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
        waits = getattr(waits, "cr_await", None)
    return f"{task.get_name()}: {' > '.join(calls)}"
