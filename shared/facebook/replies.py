"""What the Graph API answers, turned into our events, node by node.

One conversation or message that cannot be read never costs its neighbours: it is handed back as
`Rejected`. Graph leaves out what is empty, so what is absent tells nothing.
https://developers.facebook.com/docs/graph-api/results
https://developers.facebook.com/docs/messenger-platform/conversations
"""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct, field

from shared.errors import Unreadable as UnreadableBytes
from shared.events import Direction, Message, Platform, Rejected, Thread, Unreadable
from shared.facebook.attachments import canonical
from shared.facebook.graph_attachments import from_graph
from shared.facebook.ids import id_text, mid_text
from shared.facebook.text import clean, clean_json, mend
from shared.facebook.usage import Usage, read_usage

BEHIND_MS = 60_000
"""Graph may lag behind what webhooks told already: a reply's content counts as a minute older."""

T = TypeVar("T")

_ABSENT = Raw(b"null")

_canonical = msgspec.json.Encoder(order="sorted").encode


class Reply(Struct, frozen=True, kw_only=True):
    """One answer: HTTP status, Facebook's clock when it answered, what it cost, and the body."""

    status: int
    date_ms: int
    usage: Usage
    body: bytes

    @property
    def as_of_ms(self) -> int:
        return self.date_ms - BEHIND_MS


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


class Account(Struct, frozen=True, kw_only=True):
    """A Page that a user manages; `token` is its access token, if the user may have it."""

    page_id: str
    name: str
    token: str | None
    instagram_id: str | None
    tasks: tuple[str, ...]


class TokenInfo(Struct, frozen=True, kw_only=True):
    """What a token is good for; `expires_at` in Unix seconds, 0 means never."""

    valid: bool
    app_id: str | None
    expires_at: int
    scopes: tuple[str, ...]


def reply_of(
    status: int, headers: Mapping[str, str], body: bytes, date_ms: int | None = None
) -> Reply:
    """Build a Reply from lower-case headers; `date_ms` stands in for an absent `Date`.

    Raises Unreadable when there is no date at all: what a reply says cannot be placed in time
    then, and our own clock is no measure for Facebook's.
    """
    try:
        date_ms = int(parsedate_to_datetime(headers["date"]).timestamp() * 1000)
    except (KeyError, ValueError):
        if date_ms is None:
            raise UnreadableBytes("Facebook's answer has no date.") from None
    return Reply(status=status, date_ms=date_ms, usage=read_usage(headers), body=body)


# What travels, before it is looked at. Only what we need to find a node's parts has a type.


class _Cursors(Struct):
    after: str | None = None


class _Paging(Struct):
    cursors: _Cursors | None = None
    next: str | None = None


class _Edge(Struct):
    data: list[Raw] = field(default_factory=list)
    paging: Raw = _ABSENT

    @property
    def after(self) -> str | None:
        """Where to go on. Only the presence of `next` tells that there is more.

        Its URL holds the token and a host: the cursor is used instead.
        """
        paging = _maybe(self.paging, _Paging)
        if paging is None or not paging.next:
            return None
        if paging.cursors is None or not paging.cursors.after:
            raise UnreadableBytes("Facebook says there is more but gives no cursor.")
        return paging.cursors.after


class _Person(Struct):
    id: str | int | None = None
    name: str | None = None
    username: str | None = None


class _Conversation(Struct):
    id: str | int
    updated_time: str | int
    participants: Raw = _ABSENT
    messages: Raw = _ABSENT


class _Message(Struct):
    id: str | int
    created_time: str | int | None = None
    from_: Raw = field(default=_ABSENT, name="from")
    to: Raw = _ABSENT
    message: str | None = None
    reply_to: Raw = _ABSENT
    story: Raw = _ABSENT
    attachments: Raw = _ABSENT
    shares: Raw = _ABSENT
    sticker: str | None = None
    is_unsupported: bool | str | None = None


class _ReplyTo(Struct):
    mid: str | int | None = None


def _decode(raw: bytes | Raw, kind: type[T]) -> T:
    """Decode JSON, mending text that a strict decoder refuses; raises Unreadable."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        mended, _ = mend(bytes(raw))
        return msgspec.json.decode(msgspec.json.encode(mended), type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UnreadableBytes(f"Facebook's answer is not understood: {type(error).__name__}") from (
            None
        )


def _maybe(raw: Raw, kind: type[T]) -> T | None:
    """Decode what may be absent, null or of an unknown shape: then it tells nothing."""
    if raw == _ABSENT:
        return None
    try:
        return _decode(raw, kind)
    except UnreadableBytes:
        return None


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
    edge = _decode(reply.body, _Edge)
    slice_ = ConversationSlice(after=edge.after)
    for raw in edge.data:
        try:
            slice_.found.append(_conversation(raw, mailbox, reply.as_of_ms))
        except (UnreadableBytes, ValueError) as error:
            slice_.rejected.append(_rejected(raw, mailbox, error))
    return slice_


def nested_messages(conversation: Conversation, mailbox: Mailbox) -> MessageSlice | None:
    """Read the messages that came with a conversation, None where none were told."""
    edge = _maybe(conversation.nested, _Edge)
    if edge is None:
        return None
    thread = conversation.thread
    return _messages(edge, mailbox, thread.participant_id, thread.as_of_ms)


def messages(reply: Reply, mailbox: Mailbox, participant_id: str) -> MessageSlice:
    """Read a slice of one conversation's messages; raises Unreadable when it is none."""
    return _messages(_decode(reply.body, _Edge), mailbox, participant_id, reply.as_of_ms)


def message(reply: Reply, mailbox: Mailbox, participant_id: str) -> Message | Unreadable:
    """Read one message; raises Unreadable when it is none."""
    try:
        return _message(_decode(reply.body, _Message), mailbox, participant_id, reply.as_of_ms)
    except ValueError as error:
        raise UnreadableBytes(f"Facebook's answer is no message: {error}") from None


def _conversation(raw: Raw, mailbox: Mailbox, as_of_ms: int) -> Conversation:
    wire = _decode(raw, _Conversation)
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
    edge = None if others else _maybe(wire.messages, _Edge)
    for raw in edge.data if edge else ():
        told = _maybe(raw, _Message)
        if told is not None:
            author = _maybe(told.from_, _Person)
            others += [author] if author and _is_other(author, mailbox) else []
            others += _others(told.to, mailbox)
    # Several others make a group, which Pages do not have; the choice must only be a firm one.
    chosen = min(others, key=lambda person: str(person.id), default=None)
    if chosen is None:
        return None, None
    return id_text(chosen.id), clean(chosen.name or chosen.username or "") or None


def _others(raw: Raw, mailbox: Mailbox) -> list[_Person]:
    people = (_maybe(one, _Person) for one in (_maybe(raw, _Edge) or _Edge()).data)
    return [person for person in people if person and _is_other(person, mailbox)]


def _is_other(person: _Person, mailbox: Mailbox) -> bool:
    known = id_text(person.id)
    return known is not None and known not in mailbox.own


def _messages(edge: _Edge, mailbox: Mailbox, participant_id: str, as_of_ms: int) -> MessageSlice:
    slice_ = MessageSlice(after=edge.after)
    for raw in edge.data:
        try:
            wire = _decode(raw, _Message)
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
    story = _maybe(wire.story, dict[str, Any])
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
    reply_to = _maybe(wire.reply_to, _ReplyTo)
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
    edge = _maybe(raw, _Edge)
    return [_decode(one, object) for one in edge.data] if edge else []


def _direction(wire: _Message, mailbox: Mailbox) -> Direction | None:
    author = _maybe(wire.from_, _Person)
    author_id = id_text(author.id) if author else None
    if author_id is not None:
        return "out" if author_id in mailbox.own else "in"
    addressees = _maybe(wire.to, _Edge)
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


# The small replies.


class _Instagram(Struct):
    id: str | int | None = None


class _Page(Struct):
    id: str | int
    name: str | None = None
    access_token: str | None = None
    tasks: list[str] = field(default_factory=list)
    instagram_business_account: _Instagram | None = None


class _App(Struct):
    id: str | int | None = None
    subscribed_fields: list[str] = field(default_factory=list)


class _Owner(Struct):
    app_id: str | int | None = None


class _Thread(Struct):
    thread_owner: _Owner


class _Callback(Struct):
    object: str
    callback_url: str = ""
    active: bool = True


class _Label(Struct):
    id: str | int
    page_label_name: str | None = None
    name: str | None = None


class _Profile(Struct):
    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    username: str | None = None


class _Token(Struct):
    is_valid: bool = False
    app_id: str | int | None = None
    expires_at: int = 0
    scopes: list[str] = field(default_factory=list)


class _Debugged(Struct):
    data: _Token


def instagram_id(reply: Reply) -> str | None:
    """Return the id of the Instagram account linked to the Page that was asked for."""
    linked = _decode(reply.body, _Page).instagram_business_account
    return id_text(linked.id) if linked else None


def callbacks(reply: Reply) -> dict[str, str]:
    """Return where the app's active webhooks go: kind of object -> URL."""
    told = [_decode(raw, _Callback) for raw in _decode(reply.body, _Edge).data]
    return {one.object: one.callback_url for one in told if one.active}


def subscribed_fields(reply: Reply, app_id: str) -> frozenset[str]:
    """Return the fields our app is subscribed to; none when it is not installed on the Page."""
    for raw in _decode(reply.body, _Edge).data:
        app = _decode(raw, _App)
        if id_text(app.id) == app_id:
            return frozenset(app.subscribed_fields)
    return frozenset()


def thread_owner(reply: Reply) -> str | None:
    """Return the id of the app that answers a person; None where nobody shares the Page."""
    for raw in _decode(reply.body, _Edge).data:
        return id_text(_decode(raw, _Thread).thread_owner.app_id)
    return None


def labels(reply: Reply) -> tuple[dict[str, str | None], str | None]:
    """Return a person's labels, id -> name, and where to go on (None at the end)."""
    edge = _decode(reply.body, _Edge)
    told = [_decode(raw, _Label) for raw in edge.data]
    # `name` until v12, `page_label_name` since.
    return {
        str(label.id): clean(label.page_label_name or label.name or "") or None for label in told
    }, edge.after


def profile_name(reply: Reply) -> str | None:
    """Return a person's name, None where Facebook shows none (an empty object is usual)."""
    told = _decode(reply.body, _Profile)
    parts = " ".join(part for part in (told.first_name, told.last_name) if part)
    return clean(told.name or parts or told.username or "") or None


def accounts(reply: Reply) -> tuple[list[Account], str | None]:
    """Return the Pages a user manages and where to go on (None at the end)."""
    edge = _decode(reply.body, _Edge)
    return [_account(_decode(raw, _Page)) for raw in edge.data], edge.after


def _account(wire: _Page) -> Account:
    linked = wire.instagram_business_account
    return Account(
        page_id=str(wire.id),
        name=clean(wire.name or str(wire.id)),
        token=wire.access_token,
        instagram_id=id_text(linked.id) if linked else None,
        tasks=tuple(wire.tasks),
    )


def token_info(reply: Reply) -> TokenInfo:
    """Return what `debug_token` says of a token."""
    told = _decode(reply.body, _Debugged).data
    return TokenInfo(
        valid=told.is_valid,
        app_id=id_text(told.app_id),
        expires_at=told.expires_at,
        scopes=tuple(told.scopes),
    )
