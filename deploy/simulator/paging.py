"""Cursors and slices.

https://developers.facebook.com/docs/graph-api/results
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Generic, TypeVar

from msgspec import Struct

from deploy.simulator import errors, ids
from deploy.simulator.truth import Conversation, Inbox, Message

T = TypeVar("T")


class Slice(Struct, Generic[T]):
    """Some rows of a longer list, and the cursors on both of its ends (None: no rows)."""

    rows: Sequence[T]
    before: str | None = None
    after: str | None = None
    newer: bool = False
    older: bool = False


class Cursors(Struct):
    """Writes and reads cursors; each knows when it was given out.

    Cursors of before `void_before_ms` are refused. `offset` makes those of conversations count
    rows instead of naming a place, so that they slip when a conversation jumps to the front.
    """

    now_ms: int
    void_before_ms: int = 0
    offset: bool = False

    def write(self, place: str) -> str:
        """Return the cursor for a place."""
        return ids.facebook_base64(f"{max(self.now_ms, self.void_before_ms)}:{place}")

    def read(self, cursor: str) -> str:
        """Return the place a cursor stands for; raises code 100 for one that is not taken."""
        try:
            issued, _, place = ids.facebook_unbase64(cursor).partition(":")
            too_old = int(issued) < self.void_before_ms
        except ValueError:
            raise errors.invalid("Invalid cursors values") from None
        if too_old:
            raise errors.invalid("Invalid cursors values")
        return place

    def number(self, cursor: str) -> int:
        """Return the row number a cursor stands for."""
        place = self.read(cursor)
        if not place.isdigit():
            raise errors.invalid("Invalid cursors values")
        return int(place)


def conversations(
    inbox: Inbox,
    cursors: Cursors,
    limit: int,
    window: tuple[int, int],
    after: str | None,
    before: str | None,
) -> Slice[Conversation]:
    """Return a slice of a folder, newest first; `window` is [from, to) of `updated_ms`."""
    places = inbox.places
    low = bisect_left(places, (window[0], ""))
    high = bisect_left(places, (window[1], ""))
    if before:
        start = max(low, _position(places, cursors, before, high, beyond=True))
        end = min(high, start + limit)
    else:
        end = min(high, _position(places, cursors, after, high, beyond=False)) if after else high
        start = max(low, end - limit)
    rows = inbox.rows[start:end][::-1]
    if not rows:
        return Slice(rows)

    def cursor(row: int, count: int) -> str:
        place = places[row]
        return cursors.write(str(count) if cursors.offset else f"{place[0]}.{place[1]}")

    return Slice(
        rows,
        before=cursor(end - 1, len(places) - end),
        after=cursor(start, len(places) - start),
        newer=end < high,
        older=start > low,
    )


def _position(
    places: list[tuple[int, str]], cursors: Cursors, cursor: str, high: int, *, beyond: bool
) -> int:
    """Return the index a cursor stands for, or the one beyond it."""
    if cursors.offset:
        return max(0, len(places) - cursors.number(cursor))
    updated, _, thread = cursors.read(cursor).partition(".")
    if not updated.isdigit():
        raise errors.invalid("Invalid cursors values")
    place = (int(updated), thread)
    return min(high, bisect_right(places, place) if beyond else bisect_left(places, place))


def messages(
    conversation: Conversation, cursors: Cursors, limit: int, after: str | None, before: str | None
) -> Slice[Message]:
    """Return a slice of a conversation, newest first, without what was taken back."""
    count = len(conversation.messages)
    if before:
        newer = _shown(conversation, range(cursors.number(before) + 1, count))
        rows = list(islice(newer, limit))[::-1]
    else:
        end = min(count, cursors.number(after)) if after else count
        rows = list(islice(_shown(conversation, range(end - 1, -1, -1)), limit))
    if not rows:
        return Slice(rows)
    first, last = rows[0].index, rows[-1].index
    return Slice(
        rows,
        before=cursors.write(str(first)),
        after=cursors.write(str(last)),
        newer=any(_shown(conversation, range(first + 1, count))),
        older=any(_shown(conversation, range(last - 1, -1, -1))),
    )


def _shown(conversation: Conversation, indices: range) -> Iterator[Message]:
    rows = conversation.messages
    return (rows[index] for index in indices if rows[index].deleted_ms is None)


def numbered(
    rows: Sequence[T], cursors: Cursors, limit: int, after: str | None, before: str | None
) -> Slice[T]:
    """Return a slice of a short list by row number."""
    if before:
        end = min(len(rows), cursors.number(before))
        start = max(0, end - limit)
    else:
        start = min(len(rows), cursors.number(after) + 1) if after else 0
        end = min(len(rows), start + limit)
    if start == end:
        return Slice(())
    return Slice(
        rows[start:end],
        before=cursors.write(str(start)),
        after=cursors.write(str(end - 1)),
        newer=start > 0,
        older=end < len(rows),
    )
