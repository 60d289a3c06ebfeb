"""A webhook's body becomes our events; nobody else sees the wire.

    {"object": "page", "entry": [{"id": PAGE, "time": MS, "messaging": [ITEM, …]}, …]}

Every item is read alone, and every one is answered for: by an `Item` with its events, or by a
`Rejected` with a reason. Both keep the item's bytes in an envelope of their own, so that `parse`
of those gives the same answer again: a replay needs nothing else.
"""

from hashlib import blake2b
from typing import Any, TypeAlias

import msgspec
from msgspec import Raw, Struct, structs

from shared.events import Item, Platform, Rejected
from shared.facebook import scan
from shared.facebook.ids import id_text
from shared.facebook.items import TEST_PAGE, understand
from shared.facebook.notices import Channel, encode
from shared.facebook.scan import UNREADABLE
from shared.facebook.text import mend
from shared.facebook.times import moment

MAX_DEPTH = 64
"""Facebook nests about ten deep. A limit of our own gives the same answer on every stack."""

_PLATFORMS: dict[str, Platform] = {"page": "messenger", "instagram": "instagram"}
_LISTS = ("messaging", "standby", "changes", "changed_fields")
_IN_SECONDS = frozenset({"changes", "changed_fields"})
"""Lists whose items have no time but `entry.time`, and have that in seconds."""

_BOM = b"\xef\xbb\xbf"
_TAIL = b"]}]}"

_strict = msgspec.json.Decoder().decode


def parse(body: bytes, received_ms: int) -> list[Item | Rejected]:
    """Read a webhook's body, received at `received_ms`; never raises, whatever the bytes are.

    The same bytes give the same results. `received_ms` matters only where an item's own time is
    missing, is no time, or lies more than a day ahead.
    """
    results: list[Item | Rejected] = []
    for piece in _compact(body) or _carefully(body):
        if isinstance(piece, Rejected):
            results.append(piece)
        else:
            results += _read(piece, received_ms)
    return results


class _List(Struct, frozen=True):
    """One list of one entry. `before`, an item and `_TAIL` are a body with that item alone.

    `cut`: the list has no end, and its last item may be cut in the middle.
    """

    object: str | None
    page_id: str | None
    name: str
    time: Any
    before: bytes
    items: list[bytes]
    cut: bool = False

    def rejected(self, rest: bytes, error: str, reason: str = "unreadable") -> Rejected:
        return Rejected(
            reason=reason,
            error=error,
            raw=self.before + rest,
            object=self.object,
            page_id=self.page_id,
        )


_Piece: TypeAlias = _List | Rejected

# --- a body as Facebook writes it -------------------------------------------------------------


class _Entry(Struct, forbid_unknown_fields=True):
    id: str
    time: int
    messaging: list[Raw] | None = None
    standby: list[Raw] | None = None
    changes: list[Raw] | None = None
    changed_fields: list[Raw] | None = None


class _Envelope(Struct, forbid_unknown_fields=True):
    object: str
    entry: list[_Entry]


_envelope = msgspec.json.Decoder(_Envelope).decode


def _compact(body: bytes) -> list[_Piece] | None:
    """Cut a body in the form Facebook writes; `None` for any other, however slightly other.

    What this does not see (spaces, doubles, escaped ids) would make the body longer than what
    it saw: the lengths must add up.
    """
    try:
        envelope = _envelope(body)
    except UNREADABLE:
        return None
    name = _id(envelope.object)
    opening = b'{"object":"%b","entry":[' % envelope.object.encode()
    length = len(opening) + len(envelope.entry) + 1
    pieces: list[_Piece] = []
    for entry in envelope.entry:
        before = b'%b{"id":"%b","time":%d,' % (opening, entry.id.encode(), entry.time)
        length += len(before) - len(opening)
        page_id = _id(entry.id)
        for key in _LISTS:
            raws: list[Raw] | None = getattr(entry, key)
            if raws:
                items = [bytes(raw) for raw in raws]
                begun = b'%b"%b":[' % (before, key.encode())
                length += len(begun) - len(before) + sum(map(len, items)) + len(items) + 1
                pieces.append(_List(name, page_id, key, entry.time, begun, items))
    return pieces if length == len(body) else None


# --- a body in any other form -----------------------------------------------------------------


def _carefully(body: bytes) -> list[_Piece]:
    """Cut any bytes at all; what cannot be cut is a `Rejected`, and so is a body without items."""
    envelope = scan.members(body.removeprefix(_BOM).strip())
    if envelope is None:
        return [Rejected(reason="unreadable", error="the body is not a JSON object", raw=body)]
    given = _whole(envelope)
    opening, name = b'{"entry":[', None
    if "object" in given:
        opening = b'{"object":' + given["object"] + b',"entry":['
        name = _id(_scalar(given["object"]))
    pieces: list[_Piece] = []
    leftover = [*envelope.odd, envelope.rest]
    for key, value in envelope.parts:
        if key == "entry":
            entries = scan.elements(value) or scan.Elements([], value)
            for part in entries.parts:
                closed = entries.rest is not None or part is not entries.parts[-1]
                pieces += _entry(opening, name, part, b"]}" if closed else b"")
            leftover.append(entries.rest)
    if not pieces:
        empty = given.get("entry") == b"[]" and not any(leftover) and envelope.rest is not None
        reason = "empty_entry" if empty else "unreadable"
        return [Rejected(reason=reason, error="the body has no entries", raw=body)]
    pieces += _leftover(leftover)
    last = pieces[-1]
    if envelope.rest is None and isinstance(last, _List) and not last.cut:
        pieces.append(Rejected(reason="unreadable", error="the body is cut off", raw=opening))
    return pieces


def _entry(opening: bytes, name: str | None, entry: bytes, closing: bytes) -> list[_Piece]:
    """Cut an entry into its lists; what else it holds is kept with every item."""
    members = scan.members(entry)
    if members is None:
        raw = opening + entry + closing
        return [Rejected(reason="unreadable", error="the entry is not an object", raw=raw)]
    given = _whole(members)
    page_id, time = _id(_scalar(given.get("id"))), _scalar(given.get("time"))
    before = opening + b"{"
    for key, value in given.items():
        if not _is_list(key, value):
            before += encode(key) + b":" + value + b","
    pieces: list[_Piece] = []
    for key, value in members.parts:
        if _is_list(key, value):
            begun = before + encode(key) + b":"
            pieces += _cut(_List(name, page_id, key, time, begun, []), value)
    if not pieces:
        outside = _List(name, page_id, "", time, opening, [])
        return [outside.rejected(entry + closing, "the entry has no items", "empty_entry")]
    return pieces + _leftover([*members.odd, members.rest])


def _cut(begun: _List, value: bytes) -> list[_Piece]:
    """Cut a list, `begun` up to its bracket, into its items."""
    array = scan.elements(value)
    if array is None:
        wrong = begun.rejected(value + b"}]}", "the list is not an array")
        return [] if value == b"null" else [wrong]
    cut = array.rest is None
    if not array.parts and not cut:
        return _leftover([array.rest])
    whole = structs.replace(begun, before=begun.before + b"[", items=array.parts, cut=cut)
    return [whole, *_leftover([array.rest])]


def _whole(members: scan.Members) -> dict[str, bytes]:
    """Return the members of an object that are surely whole: without its end, not the last."""
    return dict(members.parts if members.rest is not None else members.parts[:-1])


def _is_list(key: str, value: bytes) -> bool:
    """Whether a member of an entry holds items; an array of another name may be a new kind."""
    return key in _LISTS or (value.startswith(b"[") and key not in {"id", "time"})


def _leftover(parts: list[bytes | None]) -> list[_Piece]:
    error = "bytes where none belong"
    return [Rejected(reason="unreadable", error=error, raw=part) for part in parts if part]


def _scalar(raw: bytes | None) -> Any:
    try:
        return None if raw is None else _strict(raw)
    except UNREADABLE:
        return None


# --- the items --------------------------------------------------------------------------------


def _read(one: _List, received_ms: int) -> list[Item | Rejected]:
    """Read every item of a list."""
    channel = _channel(one, received_ms)
    results = [_item(channel, one, item) if channel else _refused(one, item) for item in one.items]
    if one.cut and results and isinstance(results[-1], Rejected):
        # Closing a cut item would add to it at every replay.
        results[-1] = structs.replace(results[-1], raw=one.before + one.items[-1])
    elif one.cut:
        results.append(one.rejected(b"", "the body is cut off"))
    return results


def _channel(one: _List, received_ms: int) -> Channel | None:
    """Return what the items of a list share; `None` if they are not for us."""
    if one.object not in _PLATFORMS or one.page_id is None:
        return None
    in_seconds = one.name in _IN_SECONDS or one.page_id == TEST_PAGE
    return Channel(
        object=one.object,
        platform=_PLATFORMS[one.object],
        page_id=one.page_id,
        name=one.name,
        time=one.time,
        time_ms=moment(one.time, received_ms, 1000 if in_seconds else 1),
        received_ms=received_ms,
    )


def _refused(one: _List, item: bytes) -> Rejected:
    if one.object is None:
        return one.rejected(item + _TAIL, "the body names no object")
    if one.object not in _PLATFORMS:
        return one.rejected(item + _TAIL, "the object has no conversations", "unknown_object")
    return one.rejected(item + _TAIL, "the entry has no id")


def _item(channel: Channel, one: _List, item: bytes) -> Item | Rejected:
    try:
        value, cleaned = _decoded(item)
        payload = encode(value)
        told = understand(channel, value, payload, cleaned=cleaned)
    except UNREADABLE as error:
        return one.rejected(item + _TAIL, str(error))
    return Item(
        object=channel.object,
        page_id=channel.page_id,
        participant_id=told.participant_id,
        mid=told.mid,
        raw=one.before + item + _TAIL,
        identity=_identity(channel, payload),
        events=told.events,
    )


def _decoded(raw: bytes) -> tuple[Any, bool]:
    """Decode an item, and say whether its text had to be cleaned."""
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and scan.depth(raw) > MAX_DEPTH:
        raise ValueError(f"the item is nested more than {MAX_DEPTH} deep")
    if b"\\u0000" not in raw:
        try:
            return _strict(raw), False
        except UNREADABLE:
            pass  # mended below, if it can be
    return mend(raw)


def _identity(channel: Channel, payload: bytes) -> bytes:
    """Digest an item so that a redelivery, grouped and spaced as it may be, has the same one.

    Over canonical JSON, which costs less than a microsecond. A change has no time of its own and
    may say the same twice (a label put on again): there its entry's time belongs to it.
    """
    time = channel.time if channel.name in _IN_SECONDS else None
    seal = encode([channel.object, channel.page_id, channel.name, time])
    return blake2b(seal + payload, digest_size=16).digest()


def _id(value: Any) -> str | None:
    try:
        return id_text(value) if type(value) in {str, int} else None
    except ValueError:
        return None
