"""Where the next slice begins, as text that means nothing to whoever passes it back."""

import base64
import binascii
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from shared.errors import NotFound
from shared.store.reading import LAST_MS, Place

Cursor: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=1000, pattern=r"^[A-Za-z0-9_-]+$(?!\n)")
]

_VERSION = 1
_decoder = msgspec.msgpack.Decoder(
    tuple[int, str, Annotated[int, Meta(ge=0, le=LAST_MS)], Annotated[str, Meta(max_length=600)]]
)


def write(listing: str, place: Place | None) -> str | None:
    """Return the cursor of a place in a listing."""
    if place is None:
        return None
    packed = msgspec.msgpack.encode((_VERSION, listing, place.ms, place.id))
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def read(listing: str, cursor: str | None) -> Place | None:
    """Return the place of a cursor; raises NotFound for one that is none of this listing's."""
    if cursor is None:
        return None
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        version, of, ms, last = _decoder.decode(packed)
    except (binascii.Error, ValueError):
        version, of, ms, last = 0, "", 0, ""
    if (version, of) != (_VERSION, listing) or "\0" in last:
        raise NotFound("The cursor is none of this listing's: begin without one.")
    return Place(ms, last)
