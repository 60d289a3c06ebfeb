"""One shape for what comes with a message, whichever way it came.

An attachment is a JSON object; only what was told is present:

    type         image, video, audio, file, sticker, location, template, fallback, share,
                 story_mention, reel, ig_reel, post, ig_post, appointment_booking, …;
                 words we have never seen are kept as they are, none at all is "unknown"
    id           Facebook's id of the file, post or reel
    stickerId    of a sticker
    url          where it is; signed and short-lived on Facebook's own hosts
    title, name, mimeType, size (bytes)
    coordinates  {"lat": …, "long": …} of a location
    payload      everything else that was said about it

`from_webhook` reads a webhook's array; what Graph says is read in `shared.facebook.graph`; both
go through `canonical`, so that the same attachments are the same bytes.
"""

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct

from shared.facebook.ids import id_text

_encode = msgspec.json.Encoder(order="sorted").encode

_NAMING = frozenset({"asset_id", "fbid", "story_fbid", "u", "v"})
"""Query parameters that say which thing is meant: Instagram's media (`asset_id`), links that go
through l.facebook.com (`u`), photos, stories, videos. All others may be a signature."""

_EDGE = re.compile(r"^https?://[^/?#]*\.(?=(?:fbcdn\.net|cdninstagram\.com)/)")
"""Which of Facebook's edge hosts serves a file depends on who asks, and when."""


class Attachment(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What one attachment says of itself; the module's text gives the meanings."""

    type: str
    id: str | None = None
    sticker_id: str | None = None
    url: str | None = None
    title: str | None = None
    name: str | None = None
    mime_type: str | None = None
    size: int | None = None
    coordinates: dict[str, Any] | None = None
    payload: Any = None


def canonical(attachments: Sequence[Attachment]) -> tuple[bytes, bytes] | tuple[None, None]:
    """Return the attachments' JSON (keys sorted, compact) and a 16-byte key that identifies them.

    The key looks at ids, or else at URLs without their signatures, and at no order: a fresh
    signature of the same files gives other bytes but the same key. No attachments: two `None`.
    """
    if not attachments:
        return None, None
    identities = sorted(_identity(attachment) for attachment in attachments)
    return _encode(attachments), blake2b(_encode(identities), digest_size=16).digest()


def stable_url(url: str) -> str:
    """Return the part of a URL that stays when Facebook signs it anew."""
    base, _, query = url.partition("#")[0].partition("?")
    naming = [pair for pair in query.split("&") if pair.partition("=")[0] in _NAMING]
    return _EDGE.sub("https://", base) + ("?" + "&".join(naming) if naming else "")


def _identity(attachment: Attachment) -> str:
    if attachment.id:
        return "id:" + attachment.id
    if attachment.sticker_id:
        return "sticker:" + attachment.sticker_id
    if attachment.url:
        return "url:" + stable_url(attachment.url)
    return _encode(_without_signatures(msgspec.to_builtins(attachment))).decode()


def _without_signatures(value: Any) -> Any:
    if isinstance(value, str):
        return stable_url(value) if value.startswith(("https://", "http://")) else value
    if isinstance(value, list):
        return [_without_signatures(part) for part in value]
    if isinstance(value, dict):
        return {key: _without_signatures(part) for key, part in value.items()}
    return value


def from_webhook(
    wire: Iterable[dict[str, Any]], sticker_id: str | int | None = None
) -> list[Attachment]:
    """Read a webhook's `message.attachments`; `sticker_id` is the one beside them, if any.

    https://developers.facebook.com/docs/messenger-platform/reference/webhook-events/messages
    """
    attachments = [_from_webhook(one, sticker_id) for one in wire]
    if sticker_id is not None and not attachments:
        return [Attachment(type="sticker", sticker_id=id_text(sticker_id))]
    return _without_doubles(attachments)


def _from_webhook(wire: dict[str, Any], sticker_id: str | int | None) -> Attachment:
    """Read one attachment; what it says stands in `payload`, in old bodies and echoes beside it."""
    kind, payload = wire.get("type"), wire.get("payload")
    if not isinstance(kind, str) or not kind:
        kind = "unknown"
    rest = {key: value for key, value in wire.items() if key not in {"type", "payload"}}
    if isinstance(payload, dict):
        rest.update(payload)
    elif payload is not None:
        rest["payload"] = payload
    if kind in {"image", "sticker"} and sticker_id is not None:
        rest.setdefault("sticker_id", sticker_id)
    sticker = id_text(_take(rest, (str, int), "sticker_id"))
    # Until August 2026 a sticker was an image with a `sticker_id`.
    if kind == "image" and sticker:
        kind = "sticker"
    return Attachment(
        type=kind,
        id=id_text(_take(rest, (str, int), "id", "attachment_id", "reel_video_id")),
        sticker_id=sticker,
        url=_take(rest, str, "url", "URL"),
        title=_take(rest, str, "title"),
        name=_take(rest, str, "name"),
        mime_type=_take(rest, str, "mime_type"),
        size=_take(rest, int, "size"),
        coordinates=_take(rest, dict, "coordinates"),
        payload=rest["payload"] if rest.keys() == {"payload"} else rest or None,
    )


def _take(rest: dict[str, Any], kind: type | tuple[type, ...], *names: str) -> Any:
    """Take the first of `names` that has a value of this kind; null and empty text are nothing."""
    for name in names:
        value = rest.get(name)
        if value is None or value == "":
            rest.pop(name, None)
        elif isinstance(value, kind) and not isinstance(value, bool):
            return rest.pop(name)
    return None


def _without_doubles(attachments: list[Attachment]) -> list[Attachment]:
    """Drop what came twice while Facebook changed the form: a sticker and the image of it."""
    stickers = {_identity(one): one for one in attachments if one.type == "sticker"}
    shown = {stable_url(one.url) for one in stickers.values() if one.url}
    others = [one for one in attachments if one.type != "sticker"]
    images = [one for one in others if one.type == "image" and stable_url(one.url or "") in shown]
    return [*stickers.values(), *(one for one in others if one not in images)]
