"""What the backlog is made of: envelopes as Facebook sent them, many packed into one entry.

An entry is a MessagePack array of version, ingress, boot, first sequence number, envelopes and the
place in a trace.
Whoever can write to Redis can write an entry, so reading one trusts nothing.
"""

import hashlib
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from shared.errors import Unreadable

Kind: TypeAlias = Literal["webhook", "deauthorize", "data_deletion"]


class Envelope(Struct, frozen=True, array_like=True, gc=False):
    """One body Facebook posted, unread: a webhook's JSON, or the `signed_request` of a callback.

    `received_ms` is the ingress's own clock.
    """

    kind: Kind
    received_ms: int
    body: bytes


class Origin(Struct, frozen=True):
    """Where an entry comes from: envelope number i of it is `first_sequence + i` of that boot.

    `place` is where it was made in a trace (`shared.tracing`).
    """

    ingress: str
    boot: str
    first_sequence: int
    place: str = ""


class Entry(Struct, frozen=True, kw_only=True):
    """An entry as a worker holds it, from either store.

    `deliveries` counts this one: 1 when nobody was given the entry before. `size` is in bytes.
    Bytes nobody can unpack arrive as `unreadable`, without envelopes or origin.
    """

    id: str
    envelopes: list[Envelope]
    deliveries: int
    origin: Origin | None
    size: int
    unreadable: bytes | None = None


_Name: TypeAlias = Annotated[str, Meta(max_length=300, pattern=r"^[^\x00]*\Z")]


class _Packed(Struct, frozen=True, array_like=True):
    version: Literal[1]
    ingress: _Name
    boot: _Name
    first_sequence: Annotated[int, Meta(ge=0, lt=1 << 62)]
    envelopes: list[Envelope]
    place: _Name = ""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Packed)


def pack(origin: Origin, envelopes: list[Envelope]) -> bytes:
    """Return the bytes of one entry."""
    return _encoder.encode(
        _Packed(1, origin.ingress, origin.boot, origin.first_sequence, envelopes, origin.place)
    )


def unpack(packed: bytes) -> tuple[Origin, list[Envelope]]:
    """Return what `pack` was given; raises Unreadable for any other bytes."""
    try:
        found = _decoder.decode(packed)
    # msgspec lets UnicodeDecodeError (a ValueError, as its own are) and RecursionError through.
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"This is no backlog entry: {error}") from error
    origin = Origin(found.ingress, found.boot, found.first_sequence, found.place)
    return origin, found.envelopes


def entry(entry_id: str, packed: bytes, deliveries: int) -> Entry:
    """Return the entry that `packed` is, readable or not."""
    try:
        origin, envelopes = unpack(packed)
    except Unreadable:
        return Entry(
            id=entry_id,
            envelopes=[],
            deliveries=deliveries,
            origin=None,
            size=len(packed),
            unreadable=packed,
        )
    return Entry(
        id=entry_id,
        envelopes=envelopes,
        deliveries=deliveries,
        origin=origin,
        size=len(packed),
    )


def confirmation_code(signed_request: bytes) -> str:
    """Return the code Facebook and the person are given for a data deletion request.

    The same for every delivery of one request, and derived by the door and the worker alike.
    """
    return hashlib.sha256(signed_request).hexdigest()[:24]
