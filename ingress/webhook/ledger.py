"""The numbers of the envelopes one boot was given, and which of them it acknowledged."""


class Ledger:
    """Numbers envelopes from 0 and remembers which numbers must not be counted as acknowledged.

    A number is never used twice: a refused entry may have reached Redis all the same.
    """

    def __init__(self) -> None:
        self._next = 0
        self._under_way: set[tuple[int, int]] = set()
        self._refused: list[tuple[int, int]] = []

    def number(self, count: int) -> int:
        """Give numbers to envelopes about to be stored together; return the first."""
        first = self._next
        self._next += count
        self._under_way.add((first, self._next))
        return first

    def settle(self, first: int, count: int, *, acked: bool) -> None:
        """Note how it ended for the envelopes numbered together."""
        span = (first, first + count)
        self._under_way.discard(span)
        if acked:
            return
        if self._refused and self._refused[-1][1] == first:
            span = (self._refused.pop()[0], span[1])
        self._refused.append(span)

    def acked(self) -> str:
        """Return the acknowledged numbers as a Postgres multirange: `{[0,12),[14,20)}`."""
        spans, start = [], 0
        for first, end in [*sorted([*self._refused, *self._under_way]), (self._next, self._next)]:
            if start < first:
                spans.append(f"[{start},{first})")
            start = end
        return "{" + ",".join(spans) + "}"
