"""What every answer of the Graph API has in common: its clock, its edges, its loose ends.

Graph leaves out what is empty, so what is absent tells nothing.
https://developers.facebook.com/docs/graph-api/results
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct, field

from shared.errors import Unreadable
from shared.facebook.graph.usage import Usage, read_usage
from shared.facebook.text import mend

BEHIND_MS = 60_000
"""Graph may lag behind what webhooks told already: a reply's content counts as a minute older."""

T = TypeVar("T")

ABSENT = Raw(b"null")


class Reply(Struct, frozen=True, kw_only=True):
    """One answer: HTTP status, Facebook's clock when it answered, what it cost, and the body."""

    status: int
    date_ms: int
    usage: Usage
    body: bytes

    @property
    def as_of_ms(self) -> int:
        return self.date_ms - BEHIND_MS


def reply_of(
    status: int, headers: Mapping[str, str], body: bytes, date_ms: int | None = None
) -> Reply:
    """Build a Reply from lower-case headers; `date_ms` stands in for an absent `Date`.

    Raises Unreadable when there is no date at all: what a reply says cannot be placed in time
    then, and our own clock is no measure for Facebook's.
    """
    try:
        date_ms = int(parsedate_to_datetime(headers["date"]).timestamp() * 1000)
    except (KeyError, ValueError):
        if date_ms is None:
            raise Unreadable("Facebook's answer has no date.") from None
    return Reply(status=status, date_ms=date_ms, usage=read_usage(headers), body=body)


class _Cursors(Struct):
    after: str | None = None


class _Paging(Struct):
    cursors: _Cursors | None = None
    next: str | None = None


class Edge(Struct):
    """Some nodes of a list, each as it came."""

    data: list[Raw] = field(default_factory=list)
    paging: Raw = ABSENT

    @property
    def after(self) -> str | None:
        """Where to go on. Only the presence of `next` tells that there is more.

        Its URL holds the token and a host: the cursor is used instead.
        """
        paging = maybe(self.paging, _Paging)
        if paging is None or not paging.next:
            return None
        if paging.cursors is None or not paging.cursors.after:
            raise Unreadable("Facebook says there is more but gives no cursor.")
        return paging.cursors.after


def decode(raw: bytes | Raw, kind: type[T]) -> T:
    """Decode JSON, mending text that a strict decoder refuses; raises Unreadable."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        mended, _ = mend(bytes(raw))
        return msgspec.json.decode(msgspec.json.encode(mended), type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Unreadable(f"Facebook's answer is not understood: {type(error).__name__}") from None


def maybe(raw: Raw, kind: type[T]) -> T | None:
    """Decode what may be absent, null or of an unknown shape: then it tells nothing."""
    if raw == ABSENT:
        return None
    try:
        return decode(raw, kind)
    except Unreadable:
        return None
