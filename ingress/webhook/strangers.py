"""Counts the requests nobody we know has signed, by the address they come from."""

import time
from collections import Counter

PATIENCE = 100
"""Unsigned requests a minute from one address; whoever sends more has no slip of the pen."""

_MINUTE = 60.0
_MOST_ADDRESSES = 4096


class Strangers:
    """A bounded count, begun anew every minute.

    Only requests that failed are counted: Facebook's addresses are shared, and what it signs is
    taken whatever else comes from there.
    """

    def __init__(self) -> None:
        self._knocks: Counter[str] = Counter()
        self._since = time.monotonic()

    def too_many(self, address: str) -> bool:
        """Count one more from an address, and tell whether it is beyond PATIENCE."""
        now = time.monotonic()
        if now - self._since > _MINUTE or len(self._knocks) >= _MOST_ADDRESSES:
            self._knocks.clear()
            self._since = now
        self._knocks[address] += 1
        return self._knocks[address] > PATIENCE

    def busiest(self) -> str:
        """Return the address that most of them come from."""
        ((address, _),) = self._knocks.most_common(1)
        return address
