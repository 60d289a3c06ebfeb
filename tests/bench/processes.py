"""Processes that are measured."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.stack import ROOT


class Program:
    """One process of a system, ended by its own pid."""

    def __init__(self, command: Sequence[str | Path], environment: dict[str, str], log: Path):
        self._command, self._environment, self._log = command, environment, log

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """Ask it to end, and end what it leaves behind in its own session."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a process and its children so far, also of those that have ended."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    own = sum(map(int, _stat(pid)[11:15])) / os.sysconf("SC_CLK_TCK")
    return own + sum(_cpu_seconds_or_none(int(child)) for child in children)


def _cpu_seconds_or_none(child: int) -> float:
    """A child that has just ended is counted in its parent from now on."""
    try:
        return cpu_seconds(child)
    except FileNotFoundError:
        return 0.0


def parent(pid: int) -> int:
    return int(_stat(pid)[1])


def resident_mb(pid: int) -> float:
    """Megabytes a process keeps in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _stat(pid: int) -> list[str]:
    """Return what Linux counts of a process, from its state on (proc_pid_stat(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
