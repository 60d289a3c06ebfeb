"""A webhook's body becomes our events; nobody else sees the wire.

    {"object": "page", "entry": [{"id": PAGE, "time": MS, "messaging": [ITEM, …]}, …]}

Every item is read alone, and every one is answered for: by an `Item` with its events, or by a
`Rejected` with a reason. Both keep the item's bytes in an envelope of their own, so that `parse`
of those gives the same answer again: a replay needs nothing else.
"""

from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import structs

from shared.events import Item, Platform, Rejected
from shared.facebook.text import mend
from shared.facebook.webhook import scan
from shared.facebook.webhook.envelope import TAIL, ItemList, cut
from shared.facebook.webhook.items import TEST_PAGE, understand
from shared.facebook.webhook.notices import Channel, encode
from shared.facebook.webhook.scan import UNREADABLE

MAX_DEPTH = 64
"""Facebook nests about ten deep. A limit of our own gives the same answer on every stack."""

_PLATFORMS: dict[str, Platform] = {"page": "messenger", "instagram": "instagram"}
_IN_SECONDS = frozenset({"changes", "changed_fields"})
"""Lists whose items have no time but `entry.time`, and have that in seconds."""

_BACKSLASH = ord("\\")

_strict = msgspec.json.Decoder().decode


def parse(body: bytes, received_ms: int) -> list[Item | Rejected]:
    """Read a webhook's body, received at `received_ms`; never raises, whatever the bytes are.

    The same bytes give the same results. `received_ms` matters only where an item's own time is
    missing, is no time, or lies more than a day ahead.
    """
    results: list[Item | Rejected] = []
    for piece in cut(body):
        if isinstance(piece, Rejected):
            results.append(piece)
        else:
            results += _read(piece, received_ms)
    return results


def _read(one: ItemList, received_ms: int) -> list[Item | Rejected]:
    """Read every item of a list."""
    channel = _channel(one, received_ms)
    results = [_item(channel, one, item) if channel else _refused(one, item) for item in one.items]
    if one.cut and results and isinstance(results[-1], Rejected):
        # Closing a cut item would add to it at every replay.
        results[-1] = structs.replace(results[-1], raw=one.before + one.items[-1])
    elif one.cut:
        results.append(one.rejected(b"", "the body is cut off"))
    return results


def _channel(one: ItemList, received_ms: int) -> Channel | None:
    """Return what the items of a list share; `None` if they are not for us."""
    if one.object not in _PLATFORMS or one.page_id is None:
        return None
    return Channel(
        object=one.object,
        platform=_PLATFORMS[one.object],
        page_id=one.page_id,
        name=one.name,
        time=one.time,
        in_seconds=one.name in _IN_SECONDS or one.page_id == TEST_PAGE,
        received_ms=received_ms,
    )


def _refused(one: ItemList, item: bytes) -> Rejected:
    if one.object is None:
        return one.rejected(item + TAIL, "the body names no object")
    if one.object not in _PLATFORMS:
        return one.rejected(item + TAIL, "the object has no conversations", "unknown_object")
    return one.rejected(item + TAIL, "the entry has no id")


def _item(channel: Channel, one: ItemList, item: bytes) -> Item | Rejected:
    try:
        value, payload, cleaned = _decoded(item)
        told = understand(channel, value, payload, cleaned=cleaned)
    except UNREADABLE as error:
        return one.rejected(item + TAIL, str(error))
    return Item(
        object=channel.object,
        page_id=channel.page_id,
        participant_id=told.participant_id,
        mid=told.mid,
        raw=one.before + item + TAIL,
        identity=_identity(channel, payload),
        events=told.events,
    )


def _decoded(raw: bytes) -> tuple[Any, bytes, bool]:
    """Decode an item; return its canonical JSON too, and whether its text had to be cleaned."""
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and scan.depth(raw) > MAX_DEPTH:
        raise ValueError(f"the item is nested more than {MAX_DEPTH} deep")
    try:
        value = _strict(raw)
    except UNREADABLE:
        pass  # mended below, if it can be
    else:
        payload = encode(value)
        # Hardly anything is escaped in canonical JSON, and one character is found faster than six.
        if _BACKSLASH not in payload or b"\\u0000" not in payload:
            return value, payload, False
    value, cleaned = mend(raw)
    return value, encode(value), cleaned


def _identity(channel: Channel, payload: bytes) -> bytes:
    """Digest an item so that a redelivery, grouped and spaced as it may be, has the same one.

    Over canonical JSON, which costs less than a microsecond. A change has no time of its own and
    may say the same twice (a label put on again): there its entry's time belongs to it.
    """
    time = channel.time if channel.name in _IN_SECONDS else None
    seal = encode([channel.object, channel.page_id, channel.name, time])
    return blake2b(seal + payload, digest_size=16).digest()
