"""Addresses of media: signed, expiring, and signed anew whenever someone reads them."""

from deploy.simulator.truth import Attachment, Conversation, Person

_WEEK_HOURS = 7 * 24
_EXTENSIONS = {"image": "jpg", "video": "mp4", "audio": "mp3", "file": "txt"}


def url(conversation: Conversation, attachment: Attachment, at_ms: int) -> str:
    """Return where an attachment is, as told at `at_ms`: another signature each hour."""
    hour, asset = at_ms // 3_600_000, attachment.asset
    if attachment.kind == "fallback":
        return f"https://example.org/programme/{asset}?ref=chat"
    if attachment.kind == "sticker":
        return f"https://scontent.xx.fbcdn.net/v/t39.1997-6/{attachment.sticker_id}.png"
    if conversation.platform == "instagram":
        return lookaside(asset, at_ms)
    return (
        f"https://scontent.xx.fbcdn.net/v/t1.15752-9/{asset}_n.{_EXTENSIONS[attachment.kind]}"
        f"?_nc_cat=107&oh=00_Af{hour * 7919:x}&oe={(hour + _WEEK_HOURS) * 3600:X}"
    )


def lookaside(asset: str, at_ms: int) -> str:
    """Return where Instagram keeps a file; the asset stands in the query."""
    signature = f"Ab{at_ms // 3_600_000 * 7919:x}"
    return f"https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id={asset}&signature={signature}"


def profile_picture(person: Person, at_ms: int) -> str:
    """Return where a person's picture is."""
    return (
        f"https://platform-lookaside.fbsbx.com/platform/profilepic/?psid={person.id}&width=1024"
        f"&ext={at_ms // 1000 + 2_592_000}&hash=Af{at_ms // 3_600_000 * 7919:x}"
    )
