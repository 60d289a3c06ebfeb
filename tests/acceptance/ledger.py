"""What each raw item of a webhook body must become, told by a reading of its own.

Written from Facebook's documentation, without the product's parser: a word an item (`message`,
`reaction`, `watermark`, `event`, or a dead letter's reason) and the key it must be found under.
"""

import json
from typing import Any, NamedTuple

MESSAGING = {"messaging", "standby"}
NOTICES = {
    "optin", "referral", "pass_thread_control", "take_thread_control", "request_thread_control",
    "app_roles", "policy_enforcement", "policy-enforcement", "account_linking",
    "messaging_feedback", "response_feedback", "game_play", "payment", "pre_checkout",
    "checkout_update",
}  # fmt: skip


class Expected(NamedTuple):
    """One item's destiny: `page`, and the mid or kind it is found under."""

    word: str
    page: str
    key: str | None = None


def pages_of(body: bytes) -> set[tuple[str, str]]:
    """The (object, id) of every entry."""
    told = json.loads(body)
    return {(told["object"], str(entry["id"])) for entry in told["entry"]}


def expected(body: bytes) -> list[Expected]:
    """What each item of a body must become, in order."""
    told = json.loads(body)
    found = []
    for entry in told["entry"]:
        page = str(entry["id"])
        for channel in ("messaging", "standby", "changes", "changed_fields"):
            for item in entry.get(channel, []):
                found.append(_item(told["object"], page, channel, item))
    return found


def _item(kind: str, page: str, channel: str, item: Any) -> Expected:
    if kind not in {"page", "instagram"}:
        return Expected("unknown_object", page)
    if page == "0":
        return Expected("event", page)
    if channel == "changes" and item["field"] == "inbox_labels" and "value" in item:
        return Expected("label", page)
    if channel not in MESSAGING:
        return Expected("event", page)
    return _messaging(kind, page, item)


def _messaging(kind: str, page: str, item: dict) -> Expected:
    if "message" in item:
        return Expected("message", page, _mid(kind, item["message"]["mid"]))
    if "message_edit" in item:
        return Expected("message", page, _mid(kind, item["message_edit"]["mid"]))
    if "reaction" in item:
        return Expected("reaction", page, _mid(kind, item["reaction"]["mid"]))
    if "postback" in item:
        if "id" not in item["sender"]:
            return Expected("event", page)
        mid = item["postback"].get("mid")
        return Expected("message", page, _mid(kind, mid) if mid else None)
    if "read" in item or "delivery" in item:
        return Expected("watermark", page)
    assert NOTICES & item.keys(), item.keys()
    return Expected("event", page)


def _mid(kind: str, mid: str) -> str:
    return mid if kind == "instagram" or mid.startswith("m_") else "m_" + mid
