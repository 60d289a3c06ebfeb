"""What Graph says comes with a message, in the shape of `shared.facebook.attachments`.

https://developers.facebook.com/docs/graph-api/reference/message
"""

from collections.abc import Iterable
from typing import Any

from shared.facebook.attachments import Attachment
from shared.facebook.ids import id_text
from shared.facebook.text import clean_json


def from_graph(
    *,
    attachments: Iterable[Any],
    shares: Iterable[Any],
    sticker: str | None,
    story: Any,
) -> list[Attachment]:
    """Read a message's `attachments`, `shares`, `sticker` and `story`; odd nodes are left out."""
    found = [_file(clean_json(one)) for one in attachments if isinstance(one, dict)]
    found += [_share(clean_json(one)) for one in shares if isinstance(one, dict)]
    if sticker:
        found.append(Attachment(type="sticker", url=_text(sticker)))
    mention = story.get("mention") if isinstance(story, dict) else None
    if isinstance(mention, dict):
        found.append(
            Attachment(
                type="story_mention", id=_id(mention.get("id")), url=_text(mention.get("link"))
            )
        )
    return found


def _file(wire: dict[str, Any]) -> Attachment:
    kind, url = _kind_and_url(wire)
    size = wire.get("size")
    return Attachment(
        type=kind,
        id=_id(wire.get("id")),
        url=url,
        name=_text(wire.get("name")),
        mime_type=_text(wire.get("mime_type")),
        size=size if isinstance(size, int) else None,
        payload=wire.get("generic_template"),
    )


def _kind_and_url(wire: dict[str, Any]) -> tuple[str, str | None]:
    """Tell the kind by which part is there: Graph gives no `type` as webhooks do."""
    image, video = wire.get("image_data"), wire.get("video_data")
    if isinstance(video, dict):
        return "video", _text(video.get("url"))
    if isinstance(image, dict):
        kind = "sticker" if image.get("render_as_sticker") else "image"
        return kind, _text(image.get("url")) or _text(wire.get("file_url"))
    if "generic_template" in wire:
        return "template", None
    url = _text(wire.get("file_url"))
    mime = _text(wire.get("mime_type")) or ""
    if mime.startswith(("audio/", "video/", "image/")):
        return mime.partition("/")[0], url
    # Nothing but a name is what European privacy rules leave of an attachment.
    return ("file" if url or mime else "unknown"), url


def _share(wire: dict[str, Any]) -> Attachment:
    told = {"description": _text(wire.get("description")), "template": wire.get("template")}
    return Attachment(
        type="share",
        id=_id(wire.get("id")),
        url=_text(wire.get("link")),
        title=_text(wire.get("name")),
        payload={name: value for name, value in told.items() if value} or None,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _id(value: Any) -> str | None:
    return id_text(value) if isinstance(value, str | int) else None
