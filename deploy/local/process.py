"""One process we start: it never outlives us, and it is asked to stop before it is made to."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from deploy.local.account import Account
from deploy.local.errors import CannotStart

_PR_SET_PDEATHSIG = 1

WAIT_OUT_LIMIT = 5.0
"""Seconds to start a program again while what its predecessor left is still going."""

ORPHAN_GRACE = 5.0
"""Seconds each way of asking an orphan to stop is given."""


Process: TypeAlias = "subprocess.Popen[bytes]"


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run, as whom, how to know that it serves, and how it is stopped.

    `clear` removes what a killed predecessor left, before each start. `answers` tells whether
    the started process serves; it has `within` seconds to. One that ends at once with
    `wait_out` among its last words may only need a moment, and is started again for
    WAIT_OUT_LIMIT seconds. Each of `stop_signals` gets `grace` seconds to work; after the last
    comes SIGKILL.
    """

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    log: Path
    folder: Path = Path("/")
    account: Account | None = None
    clear: Callable[[], None] = lambda: None
    answers: Callable[[Process], bool] = lambda _: True
    within: float = 30.0
    wait_out: str | None = None
    stop_signals: tuple[signal.Signals, ...] = (signal.SIGTERM,)
    grace: float = 1.0

    def spawn(self) -> Process:
        """Start it in a session of its own, so that Ctrl-C reaches us before it."""
        self.clear()
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command,
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=self.account.uid if self.account else None,
                # Without these two it would keep root's groups.
                group=self.account.gid if self.account else None,
                extra_groups=[] if self.account else None,
                preexec_fn=stop_with_parent(self.stop_signals[0]),  # noqa: PLW1509 - it checks
            )

    def stop(self, process: Process) -> None:
        """End `process` and whatever it started."""
        for how in self.stop_signals:
            if process.poll() is None:
                process.send_signal(how)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(self.grace)
        self.sweep(process)
        process.wait()

    def sweep(self, process: Process) -> None:
        """Kill what is left of the group `process` leads."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)

    def last_words(self, lines: int = 5) -> str:
        """Return the end of its log, indented."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 4096))
            said = log.read().decode(errors="replace").splitlines()[-lines:]
        return "\n".join(f"  {line}" for line in said)


class Start:
    """A program on its way up: ask `answered` again and again, with a pause of your kind."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._begun = time.monotonic()
        self.process = program.spawn()

    def answered(self) -> bool:
        """Tell whether the program serves now. Raises CannotStart when it will not."""
        if self._program.answers(self.process):
            return True
        waited, ended = time.monotonic() - self._begun, self.process.poll() is not None
        if ended and waited < WAIT_OUT_LIMIT and self._may_only_need_a_moment():
            self.process = self._program.spawn()
        elif ended or waited > self._program.within:
            raise CannotStart(
                f"{self._program.name} {'ended at once' if ended else 'does not answer'}. "
                f"{self._program.log} ends with:\n{self._program.last_words()}"
            )
        return False

    def _may_only_need_a_moment(self) -> bool:
        words = self._program.wait_out
        return words is not None and words in self._program.last_words()


def stop_with_parent(how: signal.Signals) -> Callable[[], None] | None:
    """Return what a child does before it becomes its program: ask for `how` when we die.

    Linux sends it even when we are killed outright. It takes the thread that started the child
    for the parent, so only the main thread, which lives as long as we do, may start one.
    Elsewhere there is nothing of the kind, and the next start ends what was left running.
    """
    if sys.platform != "linux":
        return None
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("a process started from a thread would stop when that thread ends")
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, how)
        if os.getppid() != parent:  # we died before it could ask
            os._exit(1)

    return ask


def stop_when_parent_does() -> None:
    """Have SIGTERM sent to ourselves when the process that started us ends, where possible."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def end_orphan(pid_file: Path, mark: str, stop_signals: Sequence[signal.Signals]) -> None:
    """End the process a killed predecessor left running, if it did.

    `pid_file` names it in its first line. The pid may be somebody else's by now: it is ours
    while its command line holds `mark`.
    """
    with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
        pid = int(pid_file.read_text().split("\n", 1)[0])
        for how in (*stop_signals, signal.SIGKILL):
            deadline = time.monotonic() + ORPHAN_GRACE
            while mark in command_line(pid):
                if time.monotonic() > deadline:
                    break
                os.kill(pid, how)
                time.sleep(0.05)


def command_line(pid: int) -> str:
    """Return the command a live process runs; empty for a zombie or for nobody."""
    if Path("/proc/self").exists():
        with contextlib.suppress(OSError):
            said = Path(f"/proc/{pid}/cmdline").read_bytes()
            return said.replace(b"\0", b" ").decode(errors="replace")
        return ""
    listed = subprocess.run(
        ["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout
