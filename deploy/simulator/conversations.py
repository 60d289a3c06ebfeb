"""Conversations as Graph shows them; their type is called UnifiedThread.

https://developers.facebook.com/docs/graph-api/reference/conversation
"""

from deploy.simulator.fields import Field
from deploy.simulator.messages import messages_edge
from deploy.simulator.profiles import card
from deploy.simulator.shapes import Json, Readers, Shape, View, graph_time, never
from deploy.simulator.truth import Conversation


def _participants(_: View, conversation: Conversation, field: Field) -> Json:
    both = [card(conversation, field, person=person) for person in (True, False)]
    return {"data": both if conversation.number % 2 else both[::-1]}


def _senders(_: View, conversation: Conversation, field: Field) -> Json:
    sides = dict.fromkeys(message.inbound for message in reversed(conversation.messages))
    return {"data": [card(conversation, field, person=person) for person in sides]}


def _snippet(_: View, conversation: Conversation, __: Field) -> str | None:
    newest = conversation.newest()
    return newest.text if newest else None


def _link(_: View, conversation: Conversation, __: Field) -> str:
    return f"/{conversation.page.id}/inbox/{conversation.number + 1}/"


_CONVERSATION: Readers[Conversation] = {
    "id": lambda _, conversation, __: conversation.thread,
    "updated_time": lambda _, conversation, __: graph_time(conversation.updated_ms),
    "participants": _participants,
    "messages": messages_edge,
    "senders": _senders,
    "snippet": _snippet,
    "link": _link,
    "message_count": lambda _, c, __: sum(m.deleted_ms is None for m in c.messages),
    "unread_count": lambda _, conversation, __: conversation.unread or None,
    "can_reply": lambda _, __, ___: True,
    "is_subscribed": lambda _, __, ___: True,
    "scoped_thread_key": lambda _, conversation, __: conversation.thread,
    "folder": lambda _, conversation, __: conversation.folder,
    "is_owner": never,
    "former_participants": never,
    "name": never,
    "linked_group": never,
    "wallpaper": never,
}
CONVERSATION = Shape("UnifiedThread", _CONVERSATION, (Field("id"), Field("updated_time")))
