"""The truth and the ledger as JSON-ready values, for whoever compares them with other things."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from deploy.simulator import media
from deploy.simulator.truth import Conversation, Message, Page
from deploy.simulator.webhooks import LATE, Attempt

Json: TypeAlias = dict[str, Any]


def page(page: Page, token: str) -> Json:
    """Describe a Page as one sets it up: ids, name, token."""
    return {
        "id": page.id,
        "name": page.name,
        "instagramId": page.instagram_id,
        "instagramUsername": page.instagram_username,
        "token": token,
        "subscribedFields": sorted(page.subscribed_fields),
        "conversations": sum(len(inbox.rows) for inbox in page.inboxes.values()),
        "messages": sum(len(c.messages) for inbox in page.inboxes.values() for c in inbox.rows),
    }


def conversation(conversation: Conversation, *, messages: bool) -> Json:
    """Describe a conversation, with every message it ever had, oldest first, when asked to."""
    person = conversation.person
    told: Json = {
        "accountId": conversation.page.account(conversation.platform),
        "platform": conversation.platform,
        "folder": conversation.folder,
        "threadId": conversation.thread,
        "participantId": person.id,
        "participantName": person.name or person.username,
        "labels": person.labels,
        "updatedMs": conversation.updated_ms,
        "readWatermarkMs": conversation.read_watermark_ms,
        "deliveredWatermarkMs": conversation.delivered_watermark_ms,
        "messageCount": len(conversation.messages),
    }
    if messages:
        told["messages"] = [message(row) for row in conversation.messages]
    return told


def message(message: Message) -> Json:
    """Describe a message as it now is; addresses of media are without their signature."""
    return {
        "mid": message.mid,
        "direction": "in" if message.inbound else "out",
        "kind": "message" if message.postback is None else "postback",
        "text": message.text,
        "attachments": [
            {
                "kind": attachment.kind,
                "id": attachment.asset,
                "url": media.url(message.conversation, attachment, 0).partition("?")[0],
            }
            for attachment in message.attachments
        ],
        "replyTo": message.reply_to.mid if message.reply_to else None,
        "reactions": {
            actor: {"reaction": r.reaction, "emoji": r.emoji, "active": r.active}
            for actor, r in (message.reactions or {}).items()
        },
        "sentMs": message.sent_ms,
        "numEdit": message.num_edit,
        "editedMs": message.edited_ms,
        "deletedMs": message.deleted_ms,
    }


def acknowledgements(ledger: Iterable[Attempt]) -> Json:
    """Sum up how deliveries were answered: counts, and percentiles of the answered in ms."""
    attempts = list(ledger)
    times = sorted(attempt.milliseconds for attempt in attempts if attempt.status == 200)
    statuses: dict[str, int] = {}
    for attempt in attempts:
        status = str(attempt.status or attempt.error)
        statuses[status] = statuses.get(status, 0) + 1
    return {
        "attempts": len(attempts),
        "deliveries": len({attempt.delivery for attempt in attempts}),
        "statuses": statuses,
        "late": sum(time > LATE * 1000 for time in times),
        "p50": _percentile(times, 50),
        "p99": _percentile(times, 99),
        "max": times[-1] if times else None,
    }


def _percentile(ordered: list[float], percent: int) -> float | None:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else None


def first_sent(ledger: Iterable[Attempt]) -> dict[str, float]:
    """Return when each message was first posted, in seconds since the epoch."""
    sent: dict[str, float] = {}
    for attempt in ledger:
        for mid in attempt.mids:
            sent.setdefault(mid, attempt.sent_at)
            sent[mid] = min(sent[mid], attempt.sent_at)
    return sent
