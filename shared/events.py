"""What Facebook tells us, in our own words: one union for webhooks and Graph replies.

Messenger items carry no type field; `shared.facebook.webhook.body` turns each into one of these,
`shared.facebook.graph` does the same for what a sync fetched, and nobody else sees the wire.
Times named `…_ms` are integer milliseconds since the epoch, as Facebook counts them.
"""

from typing import Literal, TypeAlias

from msgspec import Struct

Platform: TypeAlias = Literal["messenger", "instagram"]
Direction: TypeAlias = Literal["in", "out"]
Source: TypeAlias = Literal[
    "message", "echo", "postback", "graph", "unsend", "edit", "reaction", "delivery", "read"
]

RANK: dict[Source, int] = {
    "message": 60,
    "echo": 60,
    "postback": 50,
    "graph": 40,
    "unsend": 30,
    "edit": 20,
    "reaction": 10,
    "delivery": 10,
    "read": 10,
}
"""Who is believed about what a message is: the one nearer to its sending."""


class Message(Struct, frozen=True, kw_only=True, tag=True):
    """A message in either direction: from a webhook, an echo, standby, a postback, or Graph.

    `attachments` and `extra` are canonical JSON (keys sorted, compact): an array of our
    attachment objects, and what else came with the message (quick reply, referral, commands,
    metadata, story, postback payload, `sanitised`: its text was damaged and mended,
    `time_corrected`: it had no usable time, `sent_ms` is when we received it). `None` always
    means "not told". `as_of_ms` dates the content: the event's own time, or the Graph reply's
    less a minute; 0 where the time was corrected, so that a redelivery outdoes nothing.
    `exact` is true where `sent_ms` has milliseconds (webhooks), false for Graph's seconds and
    for a corrected time.
    """

    platform: Platform
    page_id: str
    participant_id: str
    mid: str
    direction: Direction
    source: Source
    sent_ms: int
    exact: bool
    as_of_ms: int
    kind: str = "message"
    text: str | None = None
    attachments: bytes | None = None
    attachments_key: bytes | None = None
    reply_to_mid: str | None = None
    app_id: str | None = None
    extra: bytes | None = None


class Edit(Struct, frozen=True, kw_only=True, tag=True):
    """A message's text was changed; `num_edit` counts from 1, `at_ms` is when."""

    platform: Platform
    page_id: str
    participant_id: str
    mid: str
    direction: Direction | None
    at_ms: int
    num_edit: int
    text: str | None


class Unsend(Struct, frozen=True, kw_only=True, tag=True):
    """A message was taken back: its content goes for good, wherever it is kept."""

    platform: Platform
    page_id: str
    participant_id: str
    mid: str
    direction: Direction | None
    at_ms: int


class Reaction(Struct, frozen=True, kw_only=True, tag=True):
    """Someone reacted to a message, or took the reaction back (`active` false)."""

    platform: Platform
    page_id: str
    participant_id: str
    mid: str
    actor_id: str
    at_ms: int
    active: bool
    reaction: str | None = None
    emoji: str | None = None


class Read(Struct, frozen=True, kw_only=True, tag=True):
    """The person has read everything up to `watermark_ms`, or (Instagram) the message `mid`."""

    platform: Platform
    page_id: str
    participant_id: str
    at_ms: int
    watermark_ms: int | None = None
    mid: str | None = None


class Delivery(Struct, frozen=True, kw_only=True, tag=True):
    """Everything up to `watermark_ms` reached the person's device; `mids` are some of it."""

    platform: Platform
    page_id: str
    participant_id: str
    watermark_ms: int
    mids: tuple[str, ...] = ()


class Label(Struct, frozen=True, kw_only=True, tag=True):
    """A label of the Page was put on a person, or taken off (`active` false)."""

    platform: Platform
    page_id: str
    participant_id: str
    label_id: str
    name: str | None
    at_ms: int
    active: bool


class Thread(Struct, frozen=True, kw_only=True, tag=True):
    """What Graph says of a conversation as a whole.

    `updated_ms` is Graph's `updated_time`; `None` until the conversation's last inner slice is
    stored, so that a half-read conversation is never taken for a known one.
    """

    platform: Platform
    page_id: str
    participant_id: str
    thread_id: str
    as_of_ms: int
    participant_name: str | None = None
    updated_ms: int | None = None


class Unreadable(Struct, frozen=True, kw_only=True, tag=True):
    """Graph lists this message but will not show it (9000001, 100/33): kept, and marked."""

    platform: Platform
    page_id: str
    participant_id: str
    mid: str
    at_ms: int


class Notice(Struct, frozen=True, kw_only=True, tag=True):
    """Everything that is no message, reaction or watermark; `understood` false: a kind unknown.

    `payload` is the item's own JSON. `key` identifies it: a redelivery has the same.
    """

    platform: str
    page_id: str
    participant_id: str | None
    kind: str
    occurred_ms: int | None
    payload: bytes
    key: bytes
    understood: bool = True


Event: TypeAlias = (
    Message | Edit | Unsend | Reaction | Read | Delivery | Label | Thread | Unreadable | Notice
)


class Item(Struct, frozen=True, kw_only=True):
    """One raw element of a webhook body that was understood: its bytes and what they say.

    `raw` is a webhook body with this item alone: parsing it gives this `Item` again. `identity`
    is a 16-byte digest of (object, page, channel, canonical bytes; for `changes` and
    `changed_fields` also `entry.time`): a redelivery has the same one.
    """

    object: str
    page_id: str
    participant_id: str | None
    mid: str | None
    raw: bytes
    identity: bytes
    events: tuple[Event, ...]


class Rejected(Struct, frozen=True, kw_only=True):
    """Bytes nobody could make sense of, kept with the reason for a person to look at.

    `reason` is one of the words of the `dead_letters` table (`unreadable`, `unknown_object`, …);
    `error` says what was wrong without quoting content. `raw` can be parsed again, for the same
    answer while nothing has changed.
    """

    reason: str
    error: str
    raw: bytes
    object: str | None = None
    page_id: str | None = None
