"""What is kept without being read further: notices, and what every item of a list shares."""

from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Raw, Struct

from shared.events import Event, Notice, Platform
from shared.facebook.times import moment

encode = msgspec.json.Encoder(order="sorted").encode
"""Canonical JSON: keys sorted, compact, UTF-8."""


class Channel(Struct, frozen=True, kw_only=True):
    """One list of one entry: what all its items share.

    `name` is messaging, standby, changes, changed_fields, or a word we do not know; `time` is
    `entry.time` as it was sent, which counts milliseconds or seconds.
    """

    object: str
    platform: Platform
    page_id: str
    name: str
    time: Any
    in_seconds: bool
    received_ms: int

    @property
    def time_ms(self) -> int | None:
        """What `time` means, `None` if it is no time."""
        return moment(self.time, self.received_ms, 1000 if self.in_seconds else 1)


class Understood(Struct, frozen=True):
    """What an item says, and which person and message it is about."""

    events: tuple[Event, ...]
    participant_id: str | None = None
    mid: str | None = None


def notice(
    channel: Channel,
    payload: bytes,
    kind: str,
    *,
    understood: bool = True,
    participant_id: str | None = None,
    timestamp: Any = None,
) -> Notice:
    """Keep an item as it is. Its key is over all it says, and when: its own time or its entry's."""
    time = channel.time if timestamp is None else timestamp
    key = encode([channel.object, channel.page_id, kind, time, Raw(payload)])
    return Notice(
        platform=channel.platform,
        page_id=channel.page_id,
        participant_id=participant_id,
        kind=kind,
        occurred_ms=moment(timestamp, channel.received_ms) or channel.time_ms,
        payload=payload,
        key=sha256(key).digest(),
        understood=understood,
    )


def noticed(channel: Channel, payload: bytes, kind: str, *, understood: bool = True) -> Understood:
    """Keep an item that names no person."""
    return Understood((notice(channel, payload, kind, understood=understood),))
