"""One item of a webhook becomes our events, by the list it stands in."""

from typing import Any

import msgspec
from msgspec import Struct

from shared.events import Label
from shared.facebook.ids import id_text
from shared.facebook.webhook.messaging import KINDS, Id, Party, read_messaging
from shared.facebook.webhook.notices import Channel, Understood, noticed

TEST_PAGE = "0"
"""The entry id of what the App Dashboard's "Test" button sends: made-up ids, times in seconds."""


def understand(channel: Channel, item: Any, payload: bytes, *, cleaned: bool) -> Understood:
    """Read a decoded item; `payload` is its canonical JSON, `cleaned`: its text was mended.

    Raises `ValueError` or `msgspec.ValidationError` if it is not what its key says it is.
    """
    if channel.page_id == TEST_PAGE:
        return noticed(channel, payload, f"test:{_tested(channel, item)}")
    if channel.name == "changed_fields":
        # Comes instead of `changes` where the app did not ask for values.
        return noticed(channel, payload, "changed_fields")
    if channel.name not in {"messaging", "standby", "changes"}:
        return noticed(channel, payload, "unknown", understood=False)
    if not isinstance(item, dict):
        raise ValueError("the item is not an object")
    if channel.name == "changes":
        return _change(channel, item, payload, cleaned=cleaned)
    return read_messaging(channel, item, payload, cleaned=cleaned)


def _tested(channel: Channel, item: Any) -> str:
    """Say what a test tests: the field of a change, a kind of message, or else the list."""
    if isinstance(item, dict):
        words = [item.get("field"), *(key for key in item if key in KINDS)]
        return next((word for word in words if isinstance(word, str) and id_text(word)), "unknown")
    return channel.name


def _change(channel: Channel, item: dict[str, Any], payload: bytes, *, cleaned: bool) -> Understood:
    field, value = item.get("field"), item.get("value")
    if not isinstance(field, str) or not field:
        return noticed(channel, payload, "unknown", understood=False)
    if isinstance(value, dict) and field == "inbox_labels":
        return _inbox_labels(channel, value, payload)
    if isinstance(value, dict) and _is_messaging(value):
        return read_messaging(channel, value, payload, cleaned=cleaned)
    return noticed(channel, payload, f"changes:{id_text(field)}")


def _is_messaging(value: dict[str, Any]) -> bool:
    """Whether a change holds a messaging item, as it does for apps with Instagram's own login."""
    return ("sender" in value or "recipient" in value) and any(
        isinstance(value.get(kind), dict) for kind in KINDS
    )


class _LabelName(Struct):
    id: Id = None
    name: str | None = None
    page_label_name: str | None = None


class _InboxLabels(Struct):
    user: Party
    label: _LabelName
    action: str


def _inbox_labels(channel: Channel, value: dict[str, Any], payload: bytes) -> Understood:
    """Read a label put on a person, or taken off.

    https://developers.facebook.com/docs/messenger-platform/identity/custom-labels
    """
    strange = noticed(channel, payload, "changes:inbox_labels", understood=False)
    try:
        told = msgspec.convert(value, _InboxLabels)
    except msgspec.ValidationError:
        return strange
    person, label = id_text(told.user.id), id_text(told.label.id)
    if person is None or label is None or told.action not in {"add", "remove"}:
        return strange
    event = Label(
        platform=channel.platform,
        page_id=channel.page_id,
        participant_id=person,
        label_id=label,
        # Graph v12 renamed it.
        name=told.label.page_label_name or told.label.name,
        at_ms=channel.time_ms or channel.received_ms,
        active=told.action == "add",
    )
    return Understood((event,), person)
