"""A stable name for a worker among those of its host: the next start takes the same one again."""

import fcntl
import os
import socket
import tempfile
from pathlib import Path
from typing import IO

_SLOTS = 256


class Slot:
    """The lowest free number on this host; the kernel frees it whatever way the process ends."""

    def __init__(self, kind: str) -> None:
        folder = Path(tempfile.gettempdir())
        for number in range(_SLOTS):
            # Held open for as long as the process lives: the lock is the open file's.
            file = (folder / f"pagewire-{os.getuid()}-{kind}-{number}.slot").open("a")
            if _lock(file):
                self._file = file
                self.name = f"{socket.gethostname()}:{kind}:{number}"
                return
            file.close()
        raise RuntimeError(f"{_SLOTS} workers run on this host already")

    def release(self) -> None:
        self._file.close()


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
