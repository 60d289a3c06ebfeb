"""Signed webhooks to post: mixed kinds, each event one row of `messages`; the same for a seed."""

import base64
import json
import random
import time
from collections.abc import Sequence

from msgspec import Struct

from tests.stack import sign

PAGES = [str(108_000_000_000_000 + number) for number in range(100)]
PEOPLE = 20
PATH = "/api/webhook"


class Event(Struct, frozen=True):
    """What happened in one conversation; the item is as Facebook writes it."""

    mid: str
    page: str
    person: str
    item: dict[str, object]


class Post(Struct, frozen=True):
    """A whole HTTP request, and the mids of the events in it."""

    request: bytes
    mids: list[str]


def events(
    count: int, seed: int = 0, *, hot: bool = False, pages: Sequence[str] = PAGES
) -> list[Event]:
    """Make events one millisecond apart, the last one now; `hot`: all in one conversation."""
    dice = random.Random(f"{seed} {count}")
    first_ms = time.time_ns() // 1_000_000 - count
    return [_event(dice, first_ms + number, pages, hot) for number in range(count)]


def _event(dice: random.Random, at_ms: int, pages: Sequence[str], hot: bool) -> Event:
    page = pages[0] if hot else dice.choice(pages)
    person = f"{pages.index(page) + 1:04}{0 if hot else dice.randrange(PEOPLE):012}7"
    mid = "m_" + base64.urlsafe_b64encode(dice.randbytes(81)).decode()
    text = " ".join(dice.choices(WORDS, k=dice.randrange(3, 25)))
    kind = dice.choices(("text", "echo", "image", "quick", "postback"), (70, 12, 8, 5, 5))[0]
    there, back = {"id": person}, {"id": page}
    ends = {"sender": there, "recipient": back, "timestamp": at_ms}
    item: dict[str, object] = ends | {"message": {"mid": mid, "text": text}}
    if kind == "echo":
        said = {"mid": mid, "is_echo": True, "app_id": 1517776481860111, "text": text}
        item = ends | {"sender": back, "recipient": there, "message": said}
    elif kind == "image":
        image = {"type": "image", "payload": {"url": f"https://scontent.example/v/{mid}.jpg"}}
        item = ends | {"message": {"mid": mid, "attachments": [image]}}
    elif kind == "quick":
        item = ends | {"message": {"mid": mid, "text": text, "quick_reply": {"payload": "YES"}}}
    elif kind == "postback":
        item = ends | {"postback": {"mid": mid, "title": text, "payload": "BEGIN"}}
    return Event(mid, page, person, item)


def posts(happened: Sequence[Event], each: int = 1) -> list[Post]:
    """Pack events into requests of `each`, signed as Facebook signs."""
    return [_post(happened[begin : begin + each]) for begin in range(0, len(happened), each)]


def _post(packed: Sequence[Event]) -> Post:
    entries = [
        {"id": event.page, "time": event.item["timestamp"], "messaging": [event.item]}
        for event in packed
    ]
    body = json.dumps({"object": "page", "entry": entries}, separators=(",", ":")).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"X-Hub-Signature-256: {sign(body)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return Post(head.encode() + body, [event.mid for event in packed])


WORDS = [
    *("hello", "is", "this", "still", "available", "yes", "thanks", "when", "do", "you", "open"),
    *("today", "tomorrow", "order", "delivery", "price", "size", "blue", "green", "please"),
    *("send", "photo", "address", "street", "great", "morning", "Grüße", "ありがとう"),
]
