"""What the Graph API answers about conversations and messages, as our events, node by node.

One conversation or message that cannot be read never costs its neighbours: it is handed back as
`Rejected`.
https://developers.facebook.com/docs/messenger-platform/conversations
"""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from shared.errors import Unreadable as UnreadableBytes
from shared.events import Direction, Message, Platform, Rejected, Thread, Unreadable
from shared.facebook.attachments import canonical
from shared.facebook.graph.attachments import from_graph
from shared.facebook.graph.replies import ABSENT, Edge, Reply, decode, maybe
from shared.facebook.ids import id_text, mid_text
from shared.facebook.text import clean, clean_json

_canonical = msgspec.json.Encoder(order="sorted").encode


class Mailbox(Struct, frozen=True, kw_only=True):
    """Where conversations belong: a Page's Messenger or its Instagram account.

    `page_id` is the id its rows carry: the Page's, or the Instagram account's. `own` are all ids
    that mean "us" in a conversation; everybody else is the person.
    """

    platform: Platform
    page_id: str
    own: frozenset[str]


class MessageSlice(Struct, kw_only=True):
    """Messages of one conversation, newest first; `after` is where to go on, None at the end."""

    found: list[Message | Unreadable] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    after: str | None = None


class Conversation(Struct, kw_only=True):
    """One conversation of a slice; its nested messages are still as they came."""

    thread: Thread
    updated_ms: int
    nested: Raw


class ConversationSlice(Struct, kw_only=True):
    """Conversations, newest first; `after` is where to go on, None at the end."""

    found: list[Conversation] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    after: str | None = None


# What travels, before it is looked at. Only what we need to find a node's parts has a type.


class _Person(Struct):
    id: str | int | None = None
    name: str | None = None
    username: str | None = None


class _Conversation(Struct):
    id: str | int
    updated_time: str | int
    participants: Raw = ABSENT
    messages: Raw = ABSENT


class _Message(Struct):
    id: str | int
    created_time: str | int | None = None
    from_: Raw = field(default=ABSENT, name="from")
    to: Raw = ABSENT
    message: str | None = None
    reply_to: Raw = ABSENT
    story: Raw = ABSENT
    attachments: Raw = ABSENT
    shares: Raw = ABSENT
    sticker: str | None = None
    is_unsupported: bool | str | None = None


class _ReplyTo(Struct):
    mid: str | int | None = None


def time_ms(value: str | int) -> int:
    """Read Graph's time: `2024-11-10T12:34:56+0000`, or Unix seconds. Raises ValueError."""
    if isinstance(value, int):
        return value * 1000
    told = datetime.fromisoformat(value)
    if told.tzinfo is None:
        raise ValueError("a time without its offset")
    return int(told.timestamp() * 1000)


def conversations(reply: Reply, mailbox: Mailbox) -> ConversationSlice:
    """Read a slice of conversations; raises Unreadable when it is none."""
    edge = decode(reply.body, Edge)
    slice_ = ConversationSlice(after=edge.after)
    for raw in edge.data:
        try:
            slice_.found.append(_conversation(raw, mailbox, reply.as_of_ms))
        except (UnreadableBytes, ValueError) as error:
            slice_.rejected.append(_rejected(raw, mailbox, error))
    return slice_


def nested_messages(conversation: Conversation, mailbox: Mailbox) -> MessageSlice | None:
    """Read the messages that came with a conversation, None where none were told."""
    edge = maybe(conversation.nested, Edge)
    if edge is None:
        return None
    thread = conversation.thread
    return _messages(edge, mailbox, thread.participant_id, thread.as_of_ms)


def messages(reply: Reply, mailbox: Mailbox, participant_id: str) -> MessageSlice:
    """Read a slice of one conversation's messages; raises Unreadable when it is none."""
    return _messages(decode(reply.body, Edge), mailbox, participant_id, reply.as_of_ms)


def message(reply: Reply, mailbox: Mailbox, participant_id: str) -> Message | Unreadable:
    """Read one message; raises Unreadable when it is none."""
    try:
        return _message(decode(reply.body, _Message), mailbox, participant_id, reply.as_of_ms)
    except ValueError as error:
        raise UnreadableBytes(f"Facebook's answer is no message: {error}") from None


def _conversation(raw: Raw, mailbox: Mailbox, as_of_ms: int) -> Conversation:
    wire = decode(raw, _Conversation)
    thread_id = id_text(wire.id)
    if thread_id is None:
        raise ValueError("a conversation without id")
    person_id, name = _person(wire, mailbox)
    updated_ms = time_ms(wire.updated_time)
    thread = Thread(
        platform=mailbox.platform,
        page_id=mailbox.page_id,
        participant_id=person_id or f"t:{thread_id}",
        thread_id=thread_id,
        as_of_ms=as_of_ms,
        participant_name=name,
    )
    return Conversation(thread=thread, updated_ms=updated_ms, nested=wire.messages)


def _person(wire: _Conversation, mailbox: Mailbox) -> tuple[str | None, str | None]:
    """Return the id and name of the one who is not the Page.

    The order of participants is not fixed. Where Graph names none, the messages do.
    """
    others = _others(wire.participants, mailbox)
    edge = None if others else maybe(wire.messages, Edge)
    for raw in edge.data if edge else ():
        told = maybe(raw, _Message)
        if told is not None:
            author = maybe(told.from_, _Person)
            others += [author] if author and _is_other(author, mailbox) else []
            others += _others(told.to, mailbox)
    # Several others make a group, which Pages do not have; the choice must only be a firm one.
    chosen = min(others, key=lambda person: str(person.id), default=None)
    if chosen is None:
        return None, None
    return id_text(chosen.id), clean(chosen.name or chosen.username or "") or None


def _others(raw: Raw, mailbox: Mailbox) -> list[_Person]:
    people = (maybe(one, _Person) for one in (maybe(raw, Edge) or Edge()).data)
    return [person for person in people if person and _is_other(person, mailbox)]


def _is_other(person: _Person, mailbox: Mailbox) -> bool:
    known = id_text(person.id)
    return known is not None and known not in mailbox.own


def _messages(edge: Edge, mailbox: Mailbox, participant_id: str, as_of_ms: int) -> MessageSlice:
    slice_ = MessageSlice(after=edge.after)
    for raw in edge.data:
        try:
            wire = decode(raw, _Message)
            slice_.found.append(_message(wire, mailbox, participant_id, as_of_ms))
        except (UnreadableBytes, ValueError) as error:
            slice_.rejected.append(_rejected(raw, mailbox, error))
    return slice_


def _message(
    wire: _Message, mailbox: Mailbox, participant_id: str, as_of_ms: int
) -> Message | Unreadable:
    """Read a message. What people reacted with is left to webhooks: Graph gives it no time."""
    mid = mid_text(mailbox.platform, wire.id)
    if mid is None:
        raise ValueError("a message without id")
    text = clean(wire.message or "") or None
    story = maybe(wire.story, dict[str, Any])
    attachments, attachments_key = canonical(
        from_graph(
            attachments=_nodes(wire.attachments),
            shares=_nodes(wire.shares),
            sticker=wire.sticker,
            story=story,
        )
    )
    direction = _direction(wire, mailbox)
    if direction is None or wire.created_time is None:
        if text or attachments:
            raise ValueError("a message without author or time")
        # Below its 20 newest messages Instagram lists ids and hides the rest.
        return Unreadable(
            platform=mailbox.platform,
            page_id=mailbox.page_id,
            participant_id=participant_id,
            mid=mid,
            at_ms=as_of_ms,
        )
    reply_to = maybe(wire.reply_to, _ReplyTo)
    return Message(
        platform=mailbox.platform,
        page_id=mailbox.page_id,
        participant_id=participant_id,
        mid=mid,
        direction=direction,
        source="graph",
        sent_ms=time_ms(wire.created_time),
        exact=False,
        as_of_ms=as_of_ms,
        text=text,
        attachments=attachments,
        attachments_key=attachments_key,
        reply_to_mid=mid_text(mailbox.platform, reply_to.mid) if reply_to else None,
        extra=_extra(wire, story),
    )


def _nodes(raw: Raw) -> list[Any]:
    edge = maybe(raw, Edge)
    return [decode(one, object) for one in edge.data] if edge else []


def _direction(wire: _Message, mailbox: Mailbox) -> Direction | None:
    author = maybe(wire.from_, _Person)
    author_id = id_text(author.id) if author else None
    if author_id is not None:
        return "out" if author_id in mailbox.own else "in"
    addressees = maybe(wire.to, Edge)
    if addressees is None:
        return None
    # Written to somebody else, it was we who wrote.
    return "out" if _others(wire.to, mailbox) else "in"


def _extra(wire: _Message, story: dict[str, Any] | None) -> bytes | None:
    """Return what else came with a message, under the names webhooks give it."""
    extra: dict[str, Any] = {}
    replied = story.get("reply_to") if story else None
    if isinstance(replied, dict):
        extra["story"] = clean_json({"id": replied.get("id"), "url": replied.get("link")})
    if wire.is_unsupported in {True, "true"}:
        extra["is_unsupported"] = True
    return _canonical(extra) if extra else None


def _rejected(raw: Raw, mailbox: Mailbox, error: Exception) -> Rejected:
    return Rejected(
        reason="unreadable",
        error=f"A node of a Graph reply: {error}",
        raw=bytes(raw),
        object="page" if mailbox.platform == "messenger" else "instagram",
        page_id=mailbox.page_id,
    )
