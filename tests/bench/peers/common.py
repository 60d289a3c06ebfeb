"""What the Python peers share: the settings, the signature, and rows out of a webhook's body."""

import hashlib
import hmac
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

PORT = int(os.environ.get("PORT", "0"))
POSTGRES = os.environ.get("DATABASE_URL", "")
REDIS = os.environ.get("REDIS_URL", "")
SECRET = os.environ.get("APP_SECRET", "").encode()
STORE = (Path(__file__).parent / "store.sql").read_text()


class Row(NamedTuple):
    """The parameters of `store.sql`, in its order."""

    page_id: str
    mid: str
    participant_id: str
    direction: str
    sent_ms: int
    text: str | None
    attachments: str | None


def is_signed(body: bytes, signature: str) -> bool:
    wanted = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted, signature)


def rows(body: bytes) -> list[Row]:
    return [
        _row(entry["id"], item)
        for entry in json.loads(body)["entry"]
        for item in entry["messaging"]
    ]


def _row(page: str, item: dict[str, Any]) -> Row:
    said = item.get("message") or item["postback"]
    is_echo = said.get("is_echo", False)
    return Row(
        page,
        said["mid"],
        item["recipient" if is_echo else "sender"]["id"],
        "out" if is_echo else "in",
        item["timestamp"],
        said.get("text") or said.get("title"),
        json.dumps(said["attachments"]) if "attachments" in said else None,
    )
