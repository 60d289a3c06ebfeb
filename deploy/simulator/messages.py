"""Messages as Graph shows them.

https://developers.facebook.com/docs/graph-api/reference/message
"""

from collections.abc import Sequence

from deploy.simulator import fields, media, paging
from deploy.simulator.fields import Field
from deploy.simulator.profiles import card
from deploy.simulator.shapes import (
    Json,
    Readers,
    Shape,
    View,
    edge,
    graph_time,
    limit_of,
    link,
    never,
    pick,
    query,
)
from deploy.simulator.truth import Attachment, Conversation, Message


def details_shown(view: View, message: Message) -> bool:
    """Say whether Graph still shows what is in the message: on Instagram, the 20 newest."""
    conversation, rule = message.conversation, view.modes.twenty_messages
    if rule == "off" or (rule == "instagram" and conversation.platform == "messenger"):
        return True
    return len(conversation.messages) - message.index <= 20


def _from(_: View, message: Message, field: Field) -> Json:
    return card(message.conversation, field, person=message.inbound)


def _to(_: View, message: Message, field: Field) -> Json:
    return {"data": [card(message.conversation, field, person=not message.inbound)]}


def _attachments(view: View, message: Message, field: Field) -> Json | None:
    if not message.attachments or not files(message):
        return None
    return attachments_edge(view, message, field.children, limit_of(field.modifier("limit")), None)


def files(message: Message) -> list[Attachment]:
    """Return the attachments that Graph lists as such, not as sticker, share or story."""
    return [attachment for attachment in message.attachments if attachment.mime_type]


def attachments_edge(
    view: View,
    message: Message,
    wanted: tuple[Field, ...] | None,
    limit: int,
    after: str | None,
) -> Json:
    """Return a message's attachments; there is a `next` even after the last one."""
    found = paging.numbered(files(message), view.cursors, limit, after, None)
    found.older = True
    data = [pick(_attachment(view, message, row), wanted) for row in found.rows]
    address = link(view, f"{message.mid}/attachments", {"limit": str(limit)})
    return edge(view, found, data, limit, address)


def _attachment(view: View, message: Message, attachment: Attachment) -> Json:
    address = media.url(message.conversation, attachment, view.now_ms)
    kind, asset = attachment.kind, attachment.asset
    shown: Json = {"id": asset, "mime_type": attachment.mime_type, "name": f"{kind}-{asset}"}
    shown["size"] = int(asset) % 900_000
    size = {"width": 1920, "height": 1213}
    if kind == "image":
        large = {"max_width": 1920, "max_height": 1213, "url": address, "preview_url": address}
        shown["image_data"] = {**size, **large, "image_type": 1, "render_as_sticker": False}
    elif kind == "video":
        length = {"length": 12, "video_type": 1, "url": address, "preview_url": address}
        shown["video_data"] = {**size, **length, "rotation": 0}
    else:
        shown["file_url"] = address
    return shown


def _sticker(view: View, message: Message, _: Field) -> str | None:
    for attachment in message.attachments:
        if attachment.kind == "sticker":
            return media.url(message.conversation, attachment, view.now_ms)
    return None


def _shares(view: View, message: Message, field: Field) -> Json | None:
    if not message.attachments:
        return None
    shared = [a for a in message.attachments if a.kind in {"fallback", "share", "ig_reel"}]
    if not shared:
        return None
    rows = [
        {"link": media.url(message.conversation, a, view.now_ms), "id": a.asset}
        | ({"name": a.title} if a.title else {})
        for a in shared
    ]
    # Without sub-fields Graph gives the ids alone.
    return {"data": [pick(row, field.children or ()) for row in rows]}


def _tags(_: View, message: Message, __: Field) -> Json:
    if message.inbound:
        return _RECEIVED
    return _READ if message.sent_ms <= message.conversation.read_watermark_ms else _SENT


def _tagged(*names: str) -> Json:
    return {"data": [{"name": name} for name in names]}


_RECEIVED = _tagged("inbox", "read", "source:chat")
_SENT = _tagged("inbox", "sent", "source:chat")
_READ = _tagged("inbox", "read", "sent", "source:chat")


def _reply_to(_: View, message: Message, __: Field) -> Json | None:
    target = message.reply_to
    if target is None:
        return None
    return {"mid": target.mid, "is_self_reply": target.inbound == message.inbound}


def _reactions(_: View, message: Message, __: Field) -> Json | None:
    if not message.reactions:
        return None
    conversation = message.conversation
    by_kind: dict[str, list[Json]] = {}
    for actor, reaction in message.reactions.items():
        if reaction.active:
            person = actor == conversation.person.id
            by_kind.setdefault(reaction.reaction, []).append(
                card(conversation, Field("users"), person=person)
            )
    if not by_kind:
        return None
    return {"data": [{"reaction": kind, "users": users} for kind, users in by_kind.items()]}


def _story(view: View, message: Message, _: Field) -> Json | None:
    if message.story:
        address = media.lookaside(message.story, view.now_ms)
        return {"reply_to": {"link": address, "id": message.story}}
    for attachment in message.attachments:
        if attachment.kind == "story_mention":
            address = media.lookaside(attachment.asset, view.now_ms)
            return {"mention": {"link": address, "id": attachment.asset}}
    return None


_BARE: Readers[Message] = {
    "id": lambda _, message, __: message.mid,
    "created_time": lambda _, message, __: graph_time(message.sent_ms),
}
_MESSAGE: Readers[Message] = {
    **_BARE,
    "from": _from,
    "to": _to,
    # An attachment alone has an empty text, not none.
    "message": lambda _, message, __: message.text or "",
    "attachments": _attachments,
    "sticker": _sticker,
    "shares": _shares,
    "tags": _tags,
    "reply_to": _reply_to,
    "reactions": _reactions,
    "story": _story,
    "is_unsupported": never,
}
MESSAGE = Shape("Message", _MESSAGE, (Field("id"), Field("created_time")))
_HIDDEN = Shape("Message", {name: _BARE.get(name, never) for name in _MESSAGE}, ())


def show_messages(
    view: View, rows: Sequence[Message], asked: tuple[Field, ...] | None
) -> list[Json]:
    """Return messages of one conversation; those Graph no longer details are nearly bare."""
    shown = [message for message in rows if details_shown(view, message)]
    wanted = MESSAGE.wanted(asked)
    hidden = rows[len(shown) :]
    return MESSAGE.show_all(view, shown, wanted) + _HIDDEN.show_all(view, hidden, wanted)


def messages_edge(view: View, conversation: Conversation, field: Field) -> Json:
    """Return a conversation's messages as nested expansion asks for them."""
    limit = limit_of(field.modifier("limit"))
    found = paging.messages(
        conversation, view.cursors, limit, field.modifier("after"), field.modifier("before")
    )
    data = show_messages(view, found.rows, field.children)
    address = f"{view.base}/{conversation.thread}/messages?{_nested_query(view, field, limit)}"
    return edge(view, found, data, limit, address)


def _nested_query(view: View, field: Field, limit: int) -> str:
    """Return the query of the addresses of a nested edge; all rows of a slice share it."""
    found = view.queries.get(id(field))
    if found is None:
        asked = {"fields": fields.text(field.children)} if field.children else {}
        found = view.queries[id(field)] = query(view, {**asked, "limit": str(limit)})
    return found
