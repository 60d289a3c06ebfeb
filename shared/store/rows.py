"""The rows that events become, and how two tellings of the same row are joined.

Every `join` is commutative, associative and idempotent: order, repetition and how a batch was cut
cannot matter. `queries.sql` holds the same rules for joining with what is stored; a test compares
the two. A row's field order is the order of its statement's parameters.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from msgspec import Struct, field
from msgspec.structs import astuple

_Ordered = TypeVar("_Ordered", int, str, bytes)


def least(a: _Ordered | None, b: _Ordered | None) -> _Ordered | None:
    """Return the smaller of two, where None is no information (Postgres' LEAST)."""
    if a is None:
        return b
    return a if b is None or a <= b else b


def greatest(a: _Ordered | None, b: _Ordered | None) -> _Ordered | None:
    """Return the greater of two, where None is no information (Postgres' GREATEST)."""
    if a is None:
        return b
    return a if b is None or a >= b else b


class MessageRow(Struct, kw_only=True):
    """A message, or what is known of one: a stub has no `sent_ms`.

    `source_rank` orders whom to believe about the identity fields (`participant_id` … `extra`).
    `text` and `attachments` are registers of their own, each with the version it was written at.
    """

    page_id: str
    mid: str
    platform: str
    source: str
    source_rank: int
    participant_id: str | None = None
    direction: str | None = None
    kind: str | None = None
    reply_to_mid: str | None = None
    app_id: str | None = None
    extra: str | None = None
    sent_ms: int | None = None
    sent_exact: bool | None = None
    text: str | None = None
    text_as_of_ms: int | None = None
    text_num_edit: int | None = None
    text_rank: int | None = None
    attachments: str | None = None
    attachments_digest: bytes | None = None
    attachments_key: bytes | None = None
    attachments_as_of_ms: int | None = None
    attachments_rank: int | None = None
    num_edit: int = 0
    edited_ms: int | None = None
    deleted_ms: int | None = None
    unreadable_ms: int | None = None
    read_ms: int | None = None

    def join(self, other: "MessageRow") -> None:
        """Take in what `other` knows of the same message."""
        self._join_identity(other)
        self._join_sent(other)
        if _text_version(other) > _text_version(self):
            self.text = other.text
            self.text_as_of_ms = other.text_as_of_ms
            self.text_num_edit = other.text_num_edit
            self.text_rank = other.text_rank
        if _attachments_version(other) > _attachments_version(self):
            self.attachments = other.attachments
            self.attachments_digest = other.attachments_digest
            self.attachments_key = other.attachments_key
            self.attachments_as_of_ms = other.attachments_as_of_ms
            self.attachments_rank = other.attachments_rank
        self.num_edit = max(self.num_edit, other.num_edit)
        self.edited_ms = greatest(self.edited_ms, other.edited_ms)
        self.deleted_ms = least(self.deleted_ms, other.deleted_ms)
        self.unreadable_ms = least(self.unreadable_ms, other.unreadable_ms)
        self.read_ms = least(self.read_ms, other.read_ms)
        if self.deleted_ms is not None:
            self.forget()

    def forget(self) -> None:
        """Drop the content of an unsent message; it never comes back."""
        self.extra = self.text = self.attachments = None
        self.text_as_of_ms = self.text_num_edit = self.text_rank = None
        self.attachments_digest = self.attachments_key = None
        self.attachments_as_of_ms = self.attachments_rank = None

    def _join_identity(self, other: "MessageRow") -> None:
        if other.source_rank < self.source_rank:
            return
        if other.source_rank > self.source_rank:
            self.source_rank = other.source_rank
            self.source = other.source
            self.participant_id = other.participant_id
            self.direction = other.direction
            self.kind = other.kind
            self.reply_to_mid = other.reply_to_mid
            self.app_id = other.app_id
            self.extra = other.extra
            return
        self.source = min(self.source, other.source)
        self.participant_id = least(self.participant_id, other.participant_id)
        self.direction = least(self.direction, other.direction)
        self.kind = least(self.kind, other.kind)
        self.reply_to_mid = least(self.reply_to_mid, other.reply_to_mid)
        self.app_id = least(self.app_id, other.app_id)
        self.extra = least(self.extra, other.extra)

    def _join_sent(self, other: "MessageRow") -> None:
        if other.sent_ms is None:
            return
        if self.sent_ms is None or (other.sent_exact, -other.sent_ms) > (
            self.sent_exact,
            -self.sent_ms,
        ):
            self.sent_ms, self.sent_exact = other.sent_ms, other.sent_exact


def _text_version(row: MessageRow) -> tuple[Any, ...]:
    if row.text is None:
        return ()
    return row.text_as_of_ms, row.text_num_edit, row.text_rank, row.text


def _attachments_version(row: MessageRow) -> tuple[Any, ...]:
    if row.attachments_digest is None:
        return ()
    return row.attachments_as_of_ms, row.attachments_rank, row.attachments_digest


class ReactionRow(Struct, kw_only=True):
    """The latest word of one person on one message; `active` false is a tombstone."""

    page_id: str
    mid: str
    actor_id: str
    participant_id: str
    acted_ms: int
    active: bool
    reaction: str | None
    emoji: str | None

    def join(self, other: "ReactionRow") -> None:
        if _acted(other) > _acted(self):
            self.participant_id = other.participant_id
            self.acted_ms, self.active = other.acted_ms, other.active
            self.reaction, self.emoji = other.reaction, other.emoji


def _acted(row: ReactionRow) -> tuple[int, bool, str, str, str]:
    return row.acted_ms, row.active, row.reaction or "", row.emoji or "", row.participant_id


class ConversationRow(Struct, kw_only=True):
    """What is known of a conversation beside its messages, and where those end."""

    page_id: str
    participant_id: str
    platform: str
    thread_id: str | None = None
    participant_name: str | None = None
    name_as_of_ms: int | None = None
    updated_ms: int | None = None
    updated_as_of_ms: int | None = None
    last_sent_ms: int | None = None
    last_mid: str | None = None
    last_in_ms: int | None = None
    last_out_ms: int | None = None
    read_event_ms: int | None = None
    delivered_watermark_ms: int | None = None

    def join(self, other: "ConversationRow") -> None:
        self.thread_id = least(self.thread_id, other.thread_id)
        if other.participant_name is not None and _named(other) > _named(self):
            self.participant_name = other.participant_name
            self.name_as_of_ms = other.name_as_of_ms
        if other.updated_ms is not None and _updated(other) > _updated(self):
            self.updated_ms, self.updated_as_of_ms = other.updated_ms, other.updated_as_of_ms
        if other.last_sent_ms is not None:
            self.saw(other.last_sent_ms, other.last_mid or "", None)
        self.last_in_ms = greatest(self.last_in_ms, other.last_in_ms)
        self.last_out_ms = greatest(self.last_out_ms, other.last_out_ms)
        self.read_event_ms = greatest(self.read_event_ms, other.read_event_ms)
        self.delivered_watermark_ms = greatest(
            self.delivered_watermark_ms, other.delivered_watermark_ms
        )

    def saw(self, sent_ms: int, mid: str, direction: str | None) -> None:
        """Move the conversation's end up to a message."""
        if self.last_sent_ms is None or (sent_ms, mid) > (self.last_sent_ms, self.last_mid or ""):
            self.last_sent_ms, self.last_mid = sent_ms, mid
        if direction == "in":
            self.last_in_ms = greatest(self.last_in_ms, sent_ms)
        elif direction == "out":
            self.last_out_ms = greatest(self.last_out_ms, sent_ms)


def _named(row: ConversationRow) -> tuple[Any, ...]:
    return () if row.participant_name is None else (row.name_as_of_ms, row.participant_name)


def _updated(row: ConversationRow) -> tuple[Any, ...]:
    return () if row.updated_ms is None else (row.updated_ms, row.updated_as_of_ms)


class TagRow(Struct, kw_only=True):
    """A label of a Page (`source` facebook, `key` its id) or a tag of ours (`key` its name)."""

    page_id: str
    source: str
    key: str
    name: str | None
    name_as_of_ms: int

    def join(self, other: "TagRow") -> None:
        if (other.name is not None, other.name_as_of_ms, other.name or "") > (
            self.name is not None,
            self.name_as_of_ms,
            self.name or "",
        ):
            self.name, self.name_as_of_ms = other.name, other.name_as_of_ms


class ConversationTagRow(Struct, kw_only=True):
    """Whether a conversation carries a tag; `active` false is a tombstone."""

    page_id: str
    participant_id: str
    source: str
    key: str
    active: bool
    acted_ms: int

    def join(self, other: "ConversationTagRow") -> None:
        self.acted_ms, self.active = max(
            (self.acted_ms, self.active), (other.acted_ms, other.active)
        )


class EventRow(Struct, kw_only=True):
    """Something that is no message, reaction or watermark, as it came."""

    page_id: str
    event_key: bytes
    platform: str
    kind: str
    participant_id: str | None
    occurred_ms: int | None
    payload: bytes
    understood: bool


class RawRow(Struct, kw_only=True):
    """One webhook item's own bytes, for replay; None once its message was unsent.

    An unsend's own item holds no content and stays.
    """

    received_ms: int
    identity: bytes
    object: str
    page_id: str
    participant_id: str | None
    mid: str | None
    bytes: bytes | None
    is_unsend: bool


class DeadLetter(Struct, kw_only=True):
    """Bytes that could not become rows, and why; `reason` is a word, `error` a sentence."""

    source: str
    reason: str
    error: str
    object: str | None
    page_id: str | None
    bytes: bytes
    received_ms: int


class PrivacyRequest(Struct, kw_only=True):
    """A deauthorize or data-deletion callback; `user_id` is app-scoped, not a PSID."""

    code: str
    kind: str
    user_id: str
    received_ms: int


class SpanRow(Struct, frozen=True):
    """Envelopes of one boot of an ingress that are applied: numbers from `first` to before `past`.

    See `shared.backlog.envelope.Origin`.
    """

    ingress: str
    boot: str
    first: int
    past: int


class Batch(Struct):
    """What one transaction writes: rows by their key, each key once."""

    messages: dict[tuple[str, str], MessageRow] = field(default_factory=dict)
    reactions: dict[tuple[str, str, str], ReactionRow] = field(default_factory=dict)
    conversations: dict[tuple[str, str], ConversationRow] = field(default_factory=dict)
    tags: dict[tuple[str, str, str], TagRow] = field(default_factory=dict)
    conversation_tags: dict[tuple[str, str, str, str], ConversationTagRow] = field(
        default_factory=dict
    )
    events: dict[tuple[str, bytes], EventRow] = field(default_factory=dict)
    raws: dict[bytes, RawRow] = field(default_factory=dict)
    dead: list[DeadLetter] = field(default_factory=list)
    requests: list[PrivacyRequest] = field(default_factory=list)
    spans: list[SpanRow] = field(default_factory=list)


def columns(rows: list[Any]) -> list[Sequence[Any]]:
    """Turn rows into one array a column, in the order of the rows' fields.

    A column in which nothing is told is sent as an empty array: `unnest` fills it up with NULLs,
    and neither side spends time on it.
    """
    arrays = zip(*map(astuple, rows), strict=True)
    return [
        () if array[0] is None and array.count(None) == len(array) else array for array in arrays
    ]
