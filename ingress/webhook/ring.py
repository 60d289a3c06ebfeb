"""The entries acknowledged lately, kept to be sent again to a Redis that came back without them."""

from collections import deque
from typing import NamedTuple

from shared.backlog.stream import EntryId


class Acked(NamedTuple):
    """An entry Redis has taken, when (monotonic seconds), and as what."""

    position: EntryId
    at: float
    packed: bytes


class Ring:
    """A bounded memory of acknowledged entries, oldest first.

    `edge` is the newest entry that was dropped: nothing the ring can give back is older.
    """

    def __init__(self, max_bytes: int) -> None:
        self.edge: EntryId | None = None
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: deque[Acked] = deque()

    def add(self, position: EntryId, packed: bytes, now: float) -> None:
        """Remember an entry; the oldest make room."""
        self._entries.append(Acked(position, now, packed))
        self._bytes += len(packed)
        while self._bytes > self._max_bytes:
            self._drop()

    def forget(self, before: float) -> None:
        """Drop what was acknowledged before a moment that is proven safe."""
        while self._entries and self._entries[0].at < before:
            self._drop()

    def entries(self) -> list[Acked]:
        """Return what is remembered, oldest first."""
        return list(self._entries)

    def renew(self, sent: list[tuple[Acked, EntryId]], now: float) -> None:
        """Note where entries went when they were sent again."""
        renewed = {acked.position for acked, _ in sent}
        self._entries = deque(acked for acked in self._entries if acked.position not in renewed)
        self._bytes = sum(len(acked.packed) for acked in self._entries)
        for acked, position in sent:
            self.add(position, acked.packed, now)

    def _drop(self) -> None:
        dropped = self._entries.popleft()
        self._bytes -= len(dropped.packed)
        self.edge = max(self.edge or dropped.position, dropped.position)
