"""What webhooks say of a change, in Facebook's shapes.

https://developers.facebook.com/docs/messenger-platform/reference/webhook-events
https://developers.facebook.com/docs/instagram-platform/webhooks
"""

from typing import Any, Literal, TypeAlias

from msgspec import Struct

from deploy.simulator import media
from deploy.simulator.truth import Attachment, Conversation, Message, Page, Person, Reaction

Json: TypeAlias = dict[str, Any]


class Update(Struct, frozen=True):
    """One element of `messaging`, `standby` or `changes`, and where it belongs.

    `field` is the subscription that lets it through; `mid` the message it brings, if any.
    """

    page: Page
    object: Literal["page", "instagram"]
    entry_id: str
    channel: Literal["messaging", "standby", "changes"]
    field: str
    item: Json
    mid: str | None = None


def _update(conversation: Conversation, field: str, item: Json, mid: str | None = None) -> Update:
    messenger = conversation.platform == "messenger"
    return Update(
        conversation.page,
        "page" if messenger else "instagram",
        conversation.page.account(conversation.platform),
        "messaging",
        field,
        item,
        mid,
    )


def _between(conversation: Conversation, *, inbound: bool) -> Json:
    person, page = conversation.person.id, conversation.page.account(conversation.platform)
    sender, recipient = (person, page) if inbound else (page, person)
    return {"sender": {"id": sender}, "recipient": {"id": recipient}}


def said(message: Message) -> Update:
    """Tell of a message: someone's, an echo of the Page's, or a pressed button."""
    conversation = message.conversation
    item = _between(conversation, inbound=message.inbound) | {"timestamp": message.sent_ms}
    if message.postback is not None:
        item["postback"] = {
            "mid": message.mid,
            "title": message.text,
            "payload": message.postback,
        }
        return _update(conversation, "messaging_postbacks", item, message.mid)
    item["message"] = _content(message)
    echo = not message.inbound and conversation.platform == "messenger"
    return _update(conversation, "message_echoes" if echo else "messages", item, message.mid)


def _content(message: Message) -> Json:
    content: Json = {"mid": message.mid}
    if not message.inbound:
        content = {"is_echo": True, "app_id": message.app_id, **content}
    if message.text is not None:
        content["text"] = message.text
    if message.quick_reply is not None:
        content["quick_reply"] = {"payload": message.quick_reply}
    if message.reply_to is not None:
        own = message.reply_to.inbound == message.inbound
        content["reply_to"] = {"mid": message.reply_to.mid, "is_self_reply": own}
    if message.story is not None:
        address = media.lookaside(message.story, message.sent_ms)
        content["reply_to"] = {"story": {"url": address, "id": message.story}}
    if message.attachments:
        content["attachments"] = [_attachment(message, row) for row in message.attachments]
    return content


def _attachment(message: Message, attachment: Attachment) -> Json:
    payload: Json = {"url": media.url(message.conversation, attachment, message.sent_ms)}
    if attachment.title:
        payload["title"] = attachment.title
    if attachment.sticker_id:
        payload["sticker_id"] = attachment.sticker_id
    if attachment.kind == "ig_reel":
        payload["reel_video_id"] = int(attachment.asset)
    return {"type": attachment.kind, "payload": payload}


def edited(message: Message, at_ms: int) -> Update:
    """Tell of a new text."""
    item = _between(message.conversation, inbound=message.inbound) | {"timestamp": at_ms}
    item["message_edit"] = {
        "mid": message.mid,
        "text": message.text,
        "num_edit": message.num_edit,
    }
    return _update(message.conversation, "message_edits", item)


def unsent(message: Message, at_ms: int) -> Update:
    """Tell that a message was taken back."""
    item = _between(message.conversation, inbound=message.inbound) | {"timestamp": at_ms}
    echo = {} if message.inbound else {"is_echo": True}
    item["message"] = {"mid": message.mid, "is_deleted": True, **echo}
    return _update(message.conversation, "messages", item)


def reacted(message: Message, reaction: Reaction) -> Update:
    """Tell what the person thinks of a message; a reaction taken back is not named."""
    item = _between(message.conversation, inbound=True) | {"timestamp": reaction.acted_ms}
    named = {"reaction": reaction.reaction, "emoji": reaction.emoji} if reaction.active else {}
    action = "react" if reaction.active else "unreact"
    item["reaction"] = {"mid": message.mid, "action": action, **named}
    return _update(message.conversation, "message_reactions", item)


def read(conversation: Conversation, at_ms: int, last: Message) -> Update:
    """Tell how far the person has read: up to a time, on Instagram up to a message."""
    item = _between(conversation, inbound=True) | {"timestamp": at_ms}
    messenger = conversation.platform == "messenger"
    item["read"] = {"watermark": conversation.read_watermark_ms} if messenger else {"mid": last.mid}
    return _update(conversation, "message_reads", item)


def delivered(conversation: Conversation, mids: list[str]) -> Update:
    """Tell how far messages reached the person; a delivery has no timestamp."""
    item = _between(conversation, inbound=True)
    item["delivery"] = {"mids": mids, "watermark": conversation.delivered_watermark_ms}
    return _update(conversation, "message_deliveries", item)


def labelled(page: Page, person: Person, label: str, *, on: bool) -> Update:
    """Tell that a label was put on a person, or taken off."""
    value = {
        "user": {"id": person.id},
        "action": "add" if on else "remove",
        "label": {"id": label, "page_label_name": page.labels[label]},
    }
    item = {"field": "inbox_labels", "value": value}
    return Update(page, "page", page.id, "changes", "inbox_labels", item)
