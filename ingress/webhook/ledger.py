"""The numbers of the envelopes one boot was given, and which of them it acknowledged."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

Span: TypeAlias = tuple[int, int]
"""Numbers from the first to before the second."""

_MOST_SPANS = 1_000


class Ledger:
    """Numbers envelopes from 0 and remembers which numbers were acknowledged.

    A number is never used twice: a refused entry may have reached Redis all the same.
    """

    def __init__(
        self, ingress: str, boot: str, write: Callable[[int, Sequence[Span]], None]
    ) -> None:
        """`write` is told each change: the spans from a place in the list on are now these."""
        self.ingress, self.boot = ingress, boot
        self._write = write
        self._next = 0
        self._acked: list[Span] = []
        self._joined_at = _MOST_SPANS

    def number(self, count: int) -> int:
        """Give numbers to envelopes about to be stored together; return the first."""
        first = self._next
        self._next += count
        return first

    def settle(self, first: int, count: int, *, acked: bool) -> None:
        """Note how it ended for the envelopes numbered together, before anybody is answered."""
        if not acked:
            return
        start = first
        if self._acked and self._acked[-1][1] == first:
            start, _ = self._acked.pop()
        self._acked.append((start, first + count))
        changed = len(self._acked) - 1
        if changed >= self._joined_at:
            # The two lanes settle out of turn: what belongs together is put together now and then.
            self._acked, changed = joined(self._acked), 0
            self._joined_at = max(_MOST_SPANS, 2 * len(self._acked))
        self._write(changed, self._acked[changed:])

    def acked(self) -> str:
        """Return the acknowledged numbers as a Postgres multirange: `{[0,12),[14,20)}`."""
        return multirange(self._acked)


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return the same numbers in the fewest spans, in order."""
    fewest: list[Span] = []
    for first, end in sorted(spans):
        if fewest and first <= fewest[-1][1]:
            fewest[-1] = fewest[-1][0], max(fewest[-1][1], end)
        else:
            fewest.append((first, end))
    return fewest


def multirange(spans: Iterable[Span]) -> str:
    """Return numbers as Postgres writes them."""
    return "{" + ",".join(f"[{first},{end})" for first, end in joined(spans)) + "}"
