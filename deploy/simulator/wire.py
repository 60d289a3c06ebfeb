"""Webhook bodies as bytes, and their signatures.

https://developers.facebook.com/docs/messenger-platform/webhooks#event-notifications
"""

import hmac
import json
from collections.abc import Mapping
from itertools import groupby
from typing import Any, Literal

from msgspec.structs import replace

from deploy.simulator.updates import Update

USER_AGENT = "facebookexternalua"
Signature = Literal["right", "wrong", "missing", "sha1", "upper", "reserialised"]


def encode(body: Mapping[str, Any]) -> bytes:
    r"""Write JSON as Facebook does: compact, `\uXXXX` in lower case, `\/` for every slash."""
    return json.dumps(body, separators=(",", ":")).replace("/", "\\/").encode("ascii")


def body(kind: str, updates: list[Update], now_ms: int) -> dict[str, Any]:
    """Put updates of one kind of object into a body.

    Updates that follow each other and belong to the same account share an entry.
    """
    groups = groupby(updates, key=lambda update: (update.entry_id, update.channel))
    entries = [
        {"id": account, "time": now_ms, channel: [update.item for update in rows]}
        for (account, channel), rows in groups
    ]
    made = {"object": kind, "entry": entries}
    restamp(made, now_ms)
    return made


def restamp(body: dict[str, Any], now_ms: int) -> None:
    """Set the time of every entry: seconds beside `changes`, milliseconds otherwise."""
    for entry in body["entry"]:
        entry["time"] = now_ms // 1000 if "changes" in entry else now_ms


def as_standby(update: Update) -> Update:
    """Return an update as an app gets it that does not own the thread.

    A button's payload is not for it, and echoes have their mid without the `m_`.
    https://developers.facebook.com/docs/messenger-platform/reference/webhook-events/standby
    """
    item = dict(update.item)
    if not item.keys() & {"message", "read", "delivery", "postback"}:
        return update
    if "postback" in item:
        item["postback"] = {k: v for k, v in item["postback"].items() if k != "payload"}
    if item.get("message", {}).get("is_echo"):
        item["message"] = {**item["message"], "mid": item["message"]["mid"].removeprefix("m_")}
    return replace(update, channel="standby", item=item)


def sign(body: bytes, secret: str) -> dict[str, str]:
    """Return both signature headers of a body."""
    key = secret.encode()
    return {
        "X-Hub-Signature": f"sha1={hmac.digest(key, body, 'sha1').hex()}",
        "X-Hub-Signature-256": f"sha256={hmac.digest(key, body, 'sha256').hex()}",
    }


def headers(body: bytes, secret: str) -> dict[str, str]:
    """Return all headers of a delivery."""
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "Accept": "*/*",
        "Accept-Encoding": "deflate, gzip",
        **sign(body, secret),
    }


def signed(body: bytes, secret: str, how: Signature) -> tuple[bytes, dict[str, str]]:
    """Return a body to post and its headers, signed rightly or in one of the wrong ways."""
    sent = headers(body, secret)
    match how:
        case "wrong":
            sent = headers(body, secret + "x")
        case "missing":
            del sent["X-Hub-Signature"], sent["X-Hub-Signature-256"]
        case "sha1":
            del sent["X-Hub-Signature-256"]
        case "upper":
            sent["X-Hub-Signature-256"] = sent["X-Hub-Signature-256"].upper()
        case "reserialised":
            body = json.dumps(json.loads(body), ensure_ascii=False).encode()
        case "right":
            pass
    return body, sent
