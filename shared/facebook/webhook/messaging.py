"""Items of `messaging` and `standby`: which key an item has says what it is.

https://developers.facebook.com/docs/messenger-platform/reference/webhook-events
https://developers.facebook.com/docs/instagram-platform/webhooks
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, structs

from shared.events import (
    Delivery,
    Direction,
    Edit,
    Event,
    Message,
    Notice,
    Reaction,
    Read,
    Unsend,
)
from shared.facebook.attachments import canonical, from_webhook
from shared.facebook.ids import id_text, mid_text
from shared.facebook.times import moment, not_ahead, whole
from shared.facebook.webhook.notices import Channel, Understood, encode, notice

Id: TypeAlias = str | int | None

_MAX_EDITS = 2**31 - 1

_KEPT = {
    "optin": "optin",
    "referral": "referral",
    "pass_thread_control": "pass_thread_control",
    "take_thread_control": "take_thread_control",
    "request_thread_control": "request_thread_control",
    "app_roles": "app_roles",
    "policy_enforcement": "policy_enforcement",
    "policy-enforcement": "policy_enforcement",
    "account_linking": "account_linking",
    "messaging_feedback": "messaging_feedback",
    "response_feedback": "response_feedback",
    "game_play": "game_play",
    "payment": "payment",
    "pre_checkout": "pre_checkout",
    "checkout_update": "checkout_update",
}
"""Kinds by their key in a messaging item; one was spelled with a dash in old bodies."""


class Party(Struct):
    """Who sends or gets: a person or a Page by `id`, a guest of a plugin only by `user_ref`."""

    id: Id = None
    user_ref: Id = None


class _Parties(Struct):
    sender: Party | None = None
    recipient: Party | None = None
    timestamp: Any = None


class _Scene(Struct, frozen=True, kw_only=True):
    """Who, with whom, which way and when: the same for every kind.

    `at_ms` is when we received it if `corrected`: its own time is none, or a day ahead.
    """

    channel: Channel
    item: dict[str, Any]
    payload: bytes
    cleaned: bool
    participant_id: str
    actor_id: str
    direction: Direction
    timestamp: Any
    at_ms: int
    corrected: bool


def read_messaging(
    channel: Channel, item: dict[str, Any], payload: bytes, *, cleaned: bool
) -> Understood:
    """Read an item of `messaging` or `standby`, or a change that holds one.

    Raises `ValueError` or `msgspec.ValidationError` if it is not what its key says it is.
    """
    parties = msgspec.convert(item, _Parties)
    sender = id_text(parties.sender.id) if parties.sender else None
    recipient = id_text(parties.recipient.id) if parties.recipient else None
    message = item.get("message")
    echo = isinstance(message, dict) and message.get("is_echo") is True
    person = _participant(channel.page_id, sender, recipient, echo=echo)
    events: list[Event] = []
    if person is not None:
        timestamp = parties.timestamp
        at_ms = moment(timestamp, channel.received_ms)
        scene = _Scene(
            channel=channel,
            item=item,
            payload=payload,
            cleaned=cleaned,
            participant_id=person,
            actor_id=sender or person,
            direction="out" if echo or (sender == channel.page_id != recipient) else "in",
            timestamp=timestamp,
            at_ms=channel.received_ms if at_ms is None else at_ms,
            corrected=at_ms is None or (at_ms != timestamp and at_ms != whole(timestamp)),
        )
        for key, body in item.items():
            tell = _TOLD.get(key)
            if tell is not None and body is not None:
                events.append(tell(scene, body))
    if not events:
        return Understood(_kept(channel, item, payload, parties, person), person)
    return Understood(tuple(events), person, _mid_of(events))


def _kept(
    channel: Channel,
    item: dict[str, Any],
    payload: bytes,
    parties: _Parties,
    person: str | None,
) -> tuple[Notice, ...]:
    """Keep an item of no conversation: a kind without one, an unknown one, or one about nobody."""
    refs = [id_text(one.user_ref) for one in (parties.sender, parties.recipient) if one]
    guest = next(filter(None, refs), None)
    kinds = {kind: True for key, kind in _KEPT.items() if item.get(key) is not None}
    if person is None:
        # A guest of a plugin has a `user_ref`, which names no conversation.
        known = guest is not None or _is_withheld(item.get("message_edit"))
        kinds |= {key: known for key in _TOLD if item.get(key) is not None}
    return tuple(
        notice(
            channel,
            payload,
            kind,
            understood=understood,
            participant_id=person,
            timestamp=parties.timestamp,
        )
        for kind, understood in (kinds or {"unknown": False}).items()
    )


def _participant(
    page_id: str, sender: str | None, recipient: str | None, *, echo: bool
) -> str | None:
    """Return the person: the one who is not the Page, for whose entry the item came."""
    if sender == page_id:
        return recipient
    if recipient == page_id:
        return sender
    return recipient if echo else sender


def _aside(scene: _Scene, kind: str, *, understood: bool) -> Notice:
    """Keep what a known kind says in a way that changes nothing."""
    return notice(
        scene.channel,
        scene.payload,
        kind,
        understood=understood,
        participant_id=scene.participant_id,
        timestamp=scene.timestamp,
    )


_ABOUT_A_MESSAGE = (Message, Edit, Unsend, Reaction, Read)


def _mid_of(events: list[Event]) -> str | None:
    for event in events:
        if isinstance(event, _ABOUT_A_MESSAGE):
            return event.mid
    return None


def _named(mid: str | None) -> str:
    if mid is None:
        raise ValueError("it names no message")
    return mid


class _Message(Struct):
    mid: Id = None
    text: str | None = None
    attachments: list[dict[str, Any]] | None = None
    sticker_id: Id = None
    reply_to: dict[str, Any] | None = None
    app_id: Id = None
    is_echo: bool | None = None
    is_deleted: bool | None = None
    is_unsupported: bool | None = None
    seq: Any = None


class _ReplyTo(Struct):
    mid: Id = None


_IN_COLUMNS = frozenset(_Message.__struct_fields__)


def _message(scene: _Scene, body: Any) -> Message | Unsend:
    told = msgspec.convert(body, _Message)
    channel = scene.channel
    mid = _named(mid_text(channel.platform, told.mid))
    if told.is_deleted:
        return Unsend(
            platform=channel.platform,
            page_id=channel.page_id,
            participant_id=scene.participant_id,
            mid=mid,
            direction=scene.direction,
            at_ms=scene.at_ms,
        )
    extra = _others(scene.item, _ELSEWHERE) | _others(body, _IN_COLUMNS)
    reply_to_mid = None
    if told.reply_to:
        # A reply to a story names no message, and says the story instead.
        reply = msgspec.convert(told.reply_to, _ReplyTo)
        reply_to_mid = mid_text(channel.platform, reply.mid)
        extra |= {key: value for key, value in told.reply_to.items() if key != "mid"}
    files = key = None
    if told.attachments or told.sticker_id is not None:
        files, key = canonical(from_webhook(told.attachments or (), told.sticker_id))
    message = Message(
        platform=channel.platform,
        page_id=channel.page_id,
        participant_id=scene.participant_id,
        mid=mid,
        direction=scene.direction,
        source="echo" if scene.direction == "out" else "message",
        sent_ms=scene.at_ms,
        exact=not scene.corrected,
        as_of_ms=0 if scene.corrected else scene.at_ms,
        text=told.text or None,
        attachments=files,
        attachments_key=key,
        reply_to_mid=reply_to_mid,
        app_id=id_text(told.app_id),
        extra=_extra(scene, extra),
    )
    # Python makes a dict for more than 15 names in a call, which costs more than all the rest.
    return structs.replace(message, kind="unsupported") if told.is_unsupported else message


def _others(members: dict[str, Any], read: frozenset[str]) -> dict[str, Any]:
    """Return the members that were not read; mostly there are none."""
    if read.issuperset(members):
        return {}
    return {key: value for key, value in members.items() if key not in read}


def _extra(scene: _Scene, extra: dict[str, Any]) -> bytes | None:
    """Return what else came with a message, and what was wrong with it."""
    if not (extra or scene.cleaned or scene.corrected):
        return None
    if scene.cleaned:
        extra["sanitised"] = True
    if scene.corrected:
        extra["time_corrected"] = True
    extra = {key: value for key, value in extra.items() if value is not None}
    return encode(extra) if extra else None


class _Postback(Struct):
    mid: Id = None
    title: str | None = None
    payload: Any = None


def _postback(scene: _Scene, body: Any) -> Message:
    told = msgspec.convert(body, _Postback)
    channel = scene.channel
    mid = mid_text(channel.platform, told.mid)
    if mid is None:
        parts = [channel.page_id, scene.actor_id, scene.timestamp, told.payload]
        mid = "pb:" + sha256(encode(parts)).hexdigest()
    return Message(
        platform=channel.platform,
        page_id=channel.page_id,
        participant_id=scene.participant_id,
        mid=mid,
        direction=scene.direction,
        source="postback",
        sent_ms=scene.at_ms,
        exact=not scene.corrected,
        as_of_ms=0 if scene.corrected else scene.at_ms,
        kind="postback",
        text=told.title or None,
        extra=_extra(scene, {key: body[key] for key in body if key not in {"mid", "title"}}),
    )


class _Edit(Struct):
    mid: Id = None
    text: str | None = None
    num_edit: Any = 1


def _message_edit(scene: _Scene, body: Any) -> Edit | Notice:
    told = msgspec.convert(body, _Edit)
    mid = _named(mid_text(scene.channel.platform, told.mid))
    num_edit = whole(told.num_edit)
    if num_edit is None or not 1 <= num_edit <= _MAX_EDITS:
        return _aside(scene, "message_edit", understood=_is_withheld(body))
    return Edit(
        platform=scene.channel.platform,
        page_id=scene.channel.page_id,
        participant_id=scene.participant_id,
        mid=mid,
        direction=scene.direction,
        at_ms=scene.at_ms,
        num_edit=num_edit,
        text=told.text,
    )


def _is_withheld(edit: Any) -> bool:
    """Whether this is how Instagram announces a message it does not show: as its edit number 0."""
    return isinstance(edit, dict) and whole(edit.get("num_edit")) == 0


class _Reaction(Struct):
    mid: Id = None
    action: str | None = None
    reaction: str | None = None
    emoji: str | None = None


def _reaction(scene: _Scene, body: Any) -> Reaction | Notice:
    told = msgspec.convert(body, _Reaction)
    mid = _named(mid_text(scene.channel.platform, told.mid))
    if told.action not in {"react", "unreact"}:
        return _aside(scene, "reaction", understood=False)
    return Reaction(
        platform=scene.channel.platform,
        page_id=scene.channel.page_id,
        participant_id=scene.participant_id,
        mid=mid,
        actor_id=scene.actor_id,
        at_ms=scene.at_ms,
        active=told.action == "react",
        reaction=told.reaction,
        emoji=told.emoji,
    )


class _Read(Struct):
    watermark: Any = None
    mid: Id = None


def _read(scene: _Scene, body: Any) -> Read:
    """Read `read.watermark` of Messenger, or `read.mid` of Instagram."""
    told = msgspec.convert(body, _Read)
    mid = mid_text(scene.channel.platform, told.mid)
    if told.watermark is None:
        _named(mid)
    return Read(
        platform=scene.channel.platform,
        page_id=scene.channel.page_id,
        participant_id=scene.participant_id,
        at_ms=scene.at_ms,
        watermark_ms=None if told.watermark is None else _watermark(scene, told.watermark),
        mid=mid,
    )


class _Delivery(Struct):
    watermark: Any = None
    mids: list[Id] | None = None


def _delivery(scene: _Scene, body: Any) -> Delivery:
    told = msgspec.convert(body, _Delivery)
    mids = [mid_text(scene.channel.platform, mid) for mid in told.mids or ()]
    return Delivery(
        platform=scene.channel.platform,
        page_id=scene.channel.page_id,
        participant_id=scene.participant_id,
        watermark_ms=_watermark(scene, told.watermark),
        mids=tuple(mid for mid in mids if mid is not None),
    )


def _watermark(scene: _Scene, value: Any) -> int:
    """Read a watermark: a wrong one is refused, since a guess would mark messages as read."""
    ms = whole(value)
    if ms is None or ms < 0:
        raise ValueError("its watermark is no time")
    return not_ahead(ms, scene.channel.received_ms)


_TOLD: dict[str, Callable[[_Scene, Any], Event]] = {
    "message": _message,
    "message_edit": _message_edit,
    "postback": _postback,
    "reaction": _reaction,
    "read": _read,
    "delivery": _delivery,
}
"""What changes a conversation, by its key in a messaging item."""

KINDS = frozenset({*_TOLD, *_KEPT})

_ELSEWHERE = frozenset({*_Parties.__struct_fields__, *_TOLD})
