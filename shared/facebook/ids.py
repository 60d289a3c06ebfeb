"""Facebook's identifiers as we keep them: text, the same from webhooks and from Graph."""

from shared.events import Platform
from shared.ids import MAX_ID_BYTES


def id_text(value: str | int | None) -> str | None:
    """Return an id as text: Facebook sends strings, old bodies numbers. Empty is absent.

    Raises `ValueError` for what cannot be an id: longer than `MAX_ID_BYTES`, or damaged text
    (two ids must not meet because both were mended).
    """
    if value is None or value == "":
        return None
    text = value if isinstance(value, str) else str(value)
    # Plain ASCII, which every id seen so far is, is measured without encoding it.
    if len(text if text.isascii() else text.encode()) > MAX_ID_BYTES:
        raise ValueError(f"an id is longer than {MAX_ID_BYTES} bytes")
    if "\0" in text or "\ufffd" in text:
        raise ValueError("an id holds NUL, half a character, or bytes that are no text")
    return text


def mid_text(platform: Platform, value: str | int | None) -> str | None:
    """Return a message id as Graph names it, so that webhook and sync meet.

    Messenger's webhooks leave out the `m_` in bodies of before 2019 (`mid.…`) and in some
    standby echoes; Instagram's ids are the same everywhere.
    https://developers.facebook.com/docs/messenger-platform/reference/webhook-events/message-echoes
    """
    mid = id_text(value)
    if mid is None or platform == "instagram" or mid.startswith("m_"):
        return mid
    return id_text("m_" + mid)
