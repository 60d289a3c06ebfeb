"""Cut a webhook's body into the lists its items stand in, whatever the bytes are."""

from typing import Any, TypeAlias

import msgspec
from msgspec import Raw, Struct, structs

from shared.events import Rejected
from shared.facebook.ids import id_text
from shared.facebook.webhook import scan
from shared.facebook.webhook.notices import encode
from shared.facebook.webhook.scan import UNREADABLE

TAIL = b"]}]}"
"""What closes a body behind an item: its list, its entry, the entries, the body."""

_LISTS = frozenset({"messaging", "standby", "changes", "changed_fields"})
_BOM = b"\xef\xbb\xbf"

_strict = msgspec.json.Decoder().decode


class ItemList(Struct, frozen=True):
    """One list of one entry. `before`, an item and `TAIL` are a body with that item alone.

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


Piece: TypeAlias = ItemList | Rejected


def cut(body: bytes) -> list[Piece]:
    """Cut a body into lists of items, in their order; `Rejected` is what belongs to none."""
    try:
        return _compact(body)
    except UNREADABLE:
        return _carefully(body)


# --- a body as Facebook writes it -------------------------------------------------------------


class _Envelope(Struct):
    object: str
    entry: list[dict[str, Raw]]


_envelope = msgspec.json.Decoder(_Envelope).decode
_raws = msgspec.json.Decoder(list[Raw]).decode


def _compact(body: bytes) -> list[Piece]:
    """Cut a body in the form Facebook writes; raises one of `UNREADABLE` for any other.

    What a decoder drops, such as the first of two members of one name, makes the body longer
    than what it returns: only if the lengths add up does each part stand where it is cut out.
    """
    envelope = _envelope(body)
    name = _id(envelope.object)
    opening = b'{"object":"%b","entry":[' % envelope.object.encode()
    at = len(opening)
    pieces: list[Piece] = []
    for entry in envelope.entry:
        at += len("{")
        before, kept_from, lists = opening + b"{", at, []
        for key, value in entry.items():
            begin, at = at, at + len(key) + len(value) + len('"":,')
            if key in _LISTS:
                before += body[kept_from:begin]
                lists.append((key, body[begin : begin + len(key) + len('"":[')]))
                kept_from = at
        if kept_from < at:
            before += body[kept_from : at - 1] + b","
        at += len(",")
        page_id, time = _id(_scalar(entry.get("id"))), _scalar(entry.get("time"))
        counted = len(pieces)
        for key, begun in lists:
            if items := [bytes(item) for item in _raws(entry[key])]:
                pieces.append(ItemList(name, page_id, key, time, before + begun, items))
        if len(pieces) == counted:
            raise ValueError("an entry without items")
    if at + len("}") != len(body) or not body.startswith(opening):
        raise ValueError("a body in another form")
    return pieces


# --- a body in any other form -----------------------------------------------------------------


def _carefully(body: bytes) -> list[Piece]:
    """Cut any bytes at all; what cannot be cut is a `Rejected`, and so is a body without items."""
    envelope = scan.members(body.removeprefix(_BOM).strip())
    if envelope is None:
        return [Rejected(reason="unreadable", error="the body is not a JSON object", raw=body)]
    given = _whole(envelope)
    opening, name = b'{"entry":[', None
    if "object" in given:
        opening = b'{"object":' + given["object"] + b',"entry":['
        name = _id(_scalar(given["object"]))
    pieces: list[Piece] = []
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
    if envelope.rest is None and isinstance(last, ItemList) and not last.cut:
        pieces.append(Rejected(reason="unreadable", error="the body is cut off", raw=opening))
    return pieces


def _entry(opening: bytes, name: str | None, entry: bytes, closing: bytes) -> list[Piece]:
    """Cut an entry into its lists; what else it holds is kept with every item."""
    members = scan.members(entry)
    if members is None:
        raw = opening + entry + closing
        return [Rejected(reason="unreadable", error="the entry is not an object", raw=raw)]
    given = _whole(members)
    page_id, time = _id(_scalar(given.get("id"))), _scalar(given.get("time"))
    before = opening + b"{"
    lists = _lists(members)
    for key, value in given.items():
        if key not in lists:
            before += encode(key) + b":" + value + b","
    pieces: list[Piece] = []
    for key, value in members.parts:
        if key in lists:
            begun = before + encode(key) + b":"
            pieces += _cut_list(ItemList(name, page_id, key, time, begun, []), value)
    if not pieces:
        outside = ItemList(name, page_id, "", time, opening, [])
        return [outside.rejected(entry + closing, "the entry has no items", "empty_entry")]
    return pieces + _leftover([*members.odd, members.rest])


def _cut_list(begun: ItemList, value: bytes) -> list[Piece]:
    """Cut a list, `begun` up to its bracket, into its items."""
    array = scan.elements(value)
    if array is None:
        return [begun.rejected(value + b"}]}", "the list is not an array")]
    cut = array.rest is None
    if not array.parts and not cut:
        return _leftover([array.rest])
    whole = structs.replace(begun, before=begun.before + b"[", items=array.parts, cut=cut)
    return [whole, *_leftover([array.rest])]


def _whole(members: scan.Members) -> dict[str, bytes]:
    """Return the members of an object that are surely whole: without its end, not the last."""
    return dict(members.parts if members.rest is not None else members.parts[:-1])


def _lists(entry: scan.Members) -> set[str]:
    """Return which members of an entry hold items.

    An entry has one list; arrays beside it, as `hop_context`, tell of its way. Alone, an array
    whose name we do not know may be a new kind of list.
    """
    known = {key for key, value in entry.parts if key in _LISTS and value != b"null"}
    arrays = {key for key, value in entry.parts if value.startswith(b"[")}
    return known or arrays - {"id", "time"}


def _leftover(parts: list[bytes | None]) -> list[Piece]:
    error = "bytes where none belong"
    return [Rejected(reason="unreadable", error=error, raw=_stray(part)) for part in parts if part]


def _stray(part: bytes) -> bytes:
    """Keep an object that stands where none belongs from being read as a body when tried again."""
    is_object = part.removeprefix(_BOM).strip().startswith(b"{")
    return b"," + part if is_object else part


def _scalar(raw: bytes | Raw | None) -> Any:
    try:
        return None if raw is None else _strict(raw)
    except UNREADABLE:
        return None


def _id(value: Any) -> str | None:
    try:
        return id_text(value) if type(value) is str or type(value) is int else None
    except ValueError:
        return None
