"""A webhook's body becomes our events; nobody else sees the wire.

    {"object": "page", "entry": [{"id": PAGE, "time": MS, "messaging": [ITEM, …]}, …]}

Every item is read alone, and every one is answered for: by an `Item` with its events, or by a
`Rejected` with a reason. Both keep the item's bytes in an envelope of their own, so that `parse`
of those gives the same answer again: a replay needs nothing else.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from shared.events import Item, Platform, Rejected
from shared.facebook import scan
from shared.facebook.ids import id_text
from shared.facebook.items import TEST_PAGE, Channel, encode, moment, understand
from shared.facebook.scan import UNREADABLE
from shared.facebook.text import mend

MAX_DEPTH = 64
"""Facebook nests about ten deep. A limit of our own gives the same answer on every stack."""

_PLATFORMS: dict[str, Platform] = {"page": "messenger", "instagram": "instagram"}
_LISTS = frozenset({"messaging", "standby", "changes", "changed_fields"})
_IN_SECONDS = frozenset({"changes", "changed_fields"})
"""Lists whose items have no time but `entry.time`, and have that in seconds."""

_BOM = b"\xef\xbb\xbf"
_TAIL = b"]}]}"

Result: TypeAlias = Item | Rejected

_strict = msgspec.json.Decoder().decode


def parse(body: bytes, received_ms: int) -> list[Result]:
    """Read a webhook's body, received at `received_ms`; never raises, whatever the bytes are.

    The same bytes give the same results. `received_ms` matters only where an item's own time is
    missing, is no time, or lies more than a day ahead.
    """
    envelope = scan.members(body.removeprefix(_BOM).strip())
    if envelope is None:
        return [Rejected(reason="unreadable", error="the body is not a JSON object", raw=body)]
    place = _place(dict(envelope.parts).get("object"))
    results: list[Result] = []
    leftover = [*envelope.odd, envelope.rest]
    for key, value in envelope.parts:
        entries = scan.elements(value) if key == "entry" else None
        if entries:
            for entry, closing in _closed(entries, b"]}"):
                results += _entry(place, entry, closing, received_ms)
            leftover.append(entries.rest)
        elif key == "entry":
            leftover.append(value)
    if not results:
        reason = "unreadable" if any(leftover) or envelope.rest is None else "empty_entry"
        return [Rejected(reason=reason, error="the body has no entries", raw=body)]
    results += _leftover(leftover)
    if envelope.rest is None and isinstance(results[-1], Item):
        results.append(Rejected(reason="unreadable", error="the body is cut off", raw=body))
    return results


class _Place(Struct, frozen=True):
    """Where in a body we are; `before` are the bytes that make a body of what stands here."""

    before: bytes
    object: str | None = None
    page_id: str | None = None

    def rejected(self, error: str, part: bytes, reason: str = "unreadable") -> Rejected:
        return Rejected(
            reason=reason,
            error=error,
            raw=self.before + part,
            object=self.object,
            page_id=self.page_id,
        )


def _place(object_raw: bytes | None) -> _Place:
    if object_raw is None:
        return _Place(b'{"entry":[')
    return _Place(b'{"object":' + object_raw + b',"entry":[', _id(object_raw))


def _closed(array: scan.Elements, closing: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Go through an array with what closes the body behind each element.

    Nothing does where the array itself never closed: its last element may be cut in the middle.
    """
    cut = len(array.parts) - 1 if array.rest is None else None
    for index, part in enumerate(array.parts):
        yield part, b"" if index == cut else closing


def _leftover(parts: list[bytes | None]) -> list[Rejected]:
    error = "bytes where none belong"
    return [Rejected(reason="unreadable", error=error, raw=part) for part in parts if part]


def _entry(place: _Place, entry: bytes, closing: bytes, received_ms: int) -> list[Result]:
    """Read the items of an entry's lists; what else it holds goes with every item."""
    members = scan.members(entry)
    if members is None:
        return [place.rejected("the entry is not an object", entry + closing)]
    given = dict(members.parts)
    page_id, time = _id(given.get("id", b"null")), given.get("time", b"null")
    # The last member of an entry that never closed may be cut in the middle.
    whole = members.parts if members.rest is not None else members.parts[:-1]
    before = place.before + b"{"
    for key, value in whole:
        if not _is_list(key, value):
            before += encode(key) + b":" + value + b","
    results: list[Result] = []
    for key, value in members.parts:
        if _is_list(key, value):
            inside = _Place(before + encode(key) + b":", place.object, page_id)
            results += _list(inside, key, value, time, received_ms)
    if not results:
        outside = _Place(place.before, place.object, page_id)
        return [outside.rejected("the entry has no items", entry + closing, "empty_entry")]
    return results + _leftover([*members.odd, members.rest])


def _is_list(key: str, value: bytes) -> bool:
    """Whether a member of an entry holds items; a list of another name may be a new kind."""
    return key in _LISTS or (value.startswith(b"[") and key not in {"id", "time"})


def _list(place: _Place, key: str, value: bytes, time: bytes, received_ms: int) -> list[Result]:
    """Read every item of one list."""
    array = scan.elements(value)
    if array is None:
        return [] if value == b"null" else [place.rejected("it is not an array", value + b"}]}")]
    inside = _Place(place.before + b"[", place.object, place.page_id)
    channel = _channel(inside, key, time, received_ms)
    results: list[Result] = []
    for part, closing in _closed(array, _TAIL):
        if channel is None:
            results.append(_refused(inside, part + closing))
        else:
            results.append(_item(channel, inside, part, closing))
    return results + _leftover([array.rest])


def _channel(place: _Place, name: str, time: bytes, received_ms: int) -> Channel | None:
    """Return what the items of a list share, or `None` if none of them can be for us."""
    if place.object not in _PLATFORMS or place.page_id is None:
        return None
    sent = _value(time)
    in_seconds = name in _IN_SECONDS or place.page_id == TEST_PAGE
    return Channel(
        object=place.object,
        platform=_PLATFORMS[place.object],
        page_id=place.page_id,
        name=name,
        time=sent,
        time_ms=moment(sent, received_ms, 1000 if in_seconds else 1),
        received_ms=received_ms,
    )


def _refused(place: _Place, part: bytes) -> Rejected:
    if place.object is None:
        return place.rejected("the body names no object", part)
    if place.object not in _PLATFORMS:
        return place.rejected("the object has no conversations", part, "unknown_object")
    return place.rejected("the entry has no id", part)


def _item(channel: Channel, place: _Place, part: bytes, closing: bytes) -> Result:
    try:
        value, cleaned = _decoded(part)
        payload = encode(value)
        told = understand(channel, value, payload, cleaned=cleaned)
    except UNREADABLE as error:
        return place.rejected(str(error), part + closing)
    return Item(
        object=channel.object,
        page_id=channel.page_id,
        participant_id=told.participant_id,
        mid=told.mid,
        raw=place.before + part + _TAIL,
        identity=_identity(channel, payload),
        events=told.events,
    )


def _identity(channel: Channel, payload: bytes) -> bytes:
    """Digest an item so that a redelivery, grouped and spaced as it may be, has the same one.

    It is over canonical JSON, which costs less than a microsecond. A change has no time of its
    own, and may say the same twice (a label put on again): its entry's time belongs to it.
    """
    time = channel.time if channel.name in _IN_SECONDS else None
    seal = encode([channel.object, channel.page_id, channel.name, time])
    return blake2b(seal + payload, digest_size=16).digest()


def _decoded(raw: bytes) -> tuple[Any, bool]:
    """Decode one value, and say whether its text had to be cleaned."""
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and scan.depth(raw) > MAX_DEPTH:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
    if b"\\u0000" not in raw:
        try:
            return _strict(raw), False
        except UNREADABLE:
            pass  # mended below, if it can be
    return mend(raw)


def _value(raw: bytes) -> Any:
    try:
        return _decoded(raw)[0]
    except UNREADABLE:
        return None


def _id(raw: bytes) -> str | None:
    value = _value(raw)
    try:
        return id_text(value) if isinstance(value, str | int) and value is not True else None
    except ValueError:
        return None
