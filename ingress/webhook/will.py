"""A file that outlives an ingress process and tells what it had acknowledged when it ended.

A killed ingress could not tell Postgres what it acknowledged after its last heartbeat: the next one
on its host reads it here and does. When the host is gone too, those seconds are known to nobody.
"""

import fcntl
import hashlib
import io
import os
import struct
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from ingress.webhook.ledger import Span, multirange
from shared import log
from shared.backlog.witness import Testament

_log = log.get(__name__)

_SPAN = struct.Struct("<qq")


class Will:
    """The file of one boot, locked while its process lives; written without a sync.

    The first line tells whose it is; after it come the spans, sixteen bytes each.
    """

    def __init__(
        self, ingress: str, boot: str, *, deployment: str, folder: Path | None = None
    ) -> None:
        """`deployment` tells ours from others on the host; only a digest of it is kept."""
        self._mark = hashlib.sha256(deployment.encode()).hexdigest()
        self._folder = folder or Path(tempfile.gettempdir())
        self._path = self._folder / f"pagewire-{boot}.acked"
        self._file = _open(self._path)
        self._head = self._file.write(f"{self._mark} {boot} {ingress}\n".encode())

    def write(self, place: int, spans: Sequence[Span]) -> None:
        """Let these be the spans from a place in the list on."""
        self._file.seek(self._head + place * _SPAN.size)
        self._file.write(b"".join(_SPAN.pack(*span) for span in spans))

    def told(self) -> None:
        """Drop the file: Postgres knows all that stands in it, and nothing more will come."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file; if it is still there, the next boot reads it."""
        self._file.close()

    def others(self) -> Iterator[tuple[Testament, Path]]:
        """Yield what boots of this deployment left whose processes have ended, and where."""
        for path in self._folder.glob("pagewire-*.acked"):
            try:
                found = _read(path, self._mark)
            except (OSError, ValueError):
                continue  # it lives, or is somebody else's
            if found is not None:
                yield found, path


def _open(path: Path) -> BinaryIO:
    try:
        made = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except OSError as error:
        _log.warning("no_file_for_what_is_acknowledged", error=type(error).__name__)
        return io.BytesIO()
    fcntl.flock(made, fcntl.LOCK_EX)
    return os.fdopen(made, "wb", buffering=0)


def _read(path: Path, mark: str) -> Testament | None:
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        head, _, packed = file.read().partition(b"\n")
        whose, boot, ingress = head.decode().split(" ", 2)
        if whose != mark:
            return None
        whole = len(packed) // _SPAN.size * _SPAN.size
        acked = multirange((first, end) for first, end in _SPAN.iter_unpack(packed[:whole]))
        return Testament(ingress, boot, acked, time.time() - os.fstat(file.fileno()).st_mtime)
