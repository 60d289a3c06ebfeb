"""Keeps programs running: starts them in order, restarts the fallen, stops them in reverse."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from deploy.local.process import Process, Program, Start

POLL = 0.05
"""Seconds between looks at a process. A look costs one system call."""

STEADY_AFTER = 30.0
"""Seconds a program must have run for its next fall to count as the first again."""

LONGEST_PAUSE = 10.0


def pause(falls: int) -> float:
    """Return the seconds to wait before a restart after so many falls in a row."""
    return min(0.25 * 2.0**falls, LONGEST_PAUSE)


@dataclass
class _Kept:
    """A program that must run, its present process, and the task that watches it."""

    program: Program
    process: Process
    watch: "asyncio.Task[None] | None" = None


class Supervisor:
    """An asynchronous context; leaving it stops everything, the last started first.

    `report` is told in a line what a person should know.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._kept: list[_Kept] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for kept in reversed(self._kept):
            if kept.watch:
                kept.watch.cancel()
                await asyncio.wait([kept.watch])
            kept.program.stop(kept.process)

    async def start(self, program: Program) -> None:
        """Start `program`, return once it answers, and keep it running.

        Raises CannotStart with the program's last words if it does not come up.
        """
        start = Start(program)
        kept = _Kept(program, start.process)
        self._kept.append(kept)
        while not start.answered():
            kept.process = start.process
            await asyncio.sleep(POLL)
        kept.watch = asyncio.create_task(self._keep(kept), name=program.name)

    async def _keep(self, kept: _Kept) -> None:
        falls, started = 0, time.monotonic()
        while True:
            while kept.process.poll() is None:  # noqa: ASYNC110 - a process sets no event
                await asyncio.sleep(POLL)
            kept.program.sweep(kept.process)
            falls = 0 if time.monotonic() - started > STEADY_AFTER else falls + 1
            self._report(
                f"{kept.program.name} ended ({_ending(kept.process.returncode)}) and is started "
                f"again in {pause(falls):g} s; its log is {kept.program.log}"
            )
            await asyncio.sleep(pause(falls))
            started = time.monotonic()
            try:
                kept.process = kept.program.spawn()
            except OSError as error:
                self._report(f"{kept.program.name} cannot be started: {error}")


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
