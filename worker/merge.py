"""Many events -> the fewest rows: pure, in any order, however often told."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import assert_never

from shared import events
from shared.events import RANK, Event, Source
from shared.store.rows import (
    Batch,
    ConversationRow,
    ConversationTagRow,
    EventRow,
    MessageRow,
    ReactionRow,
    TagRow,
)


def reduce(happened: Iterable[Event]) -> Batch:
    """Join events into one batch of rows; the order of `happened` does not matter."""
    batch = Batch()
    for event in happened:
        add(batch, event)
    return batch


def add(batch: Batch, event: Event) -> None:
    """Join one event into a batch."""
    match event:
        case events.Message():
            _add_message(batch, _message(event))
        case events.Read():
            _add_read(batch, event)
        case events.Delivery():
            _add_delivery(batch, event)
        case events.Reaction():
            _add_reaction(batch, event)
        case events.Edit():
            _add_message(batch, _edit(event))
        case events.Unsend():
            stub = _stub(event, "unsend", event.direction)
            stub.deleted_ms = event.at_ms
            _add_message(batch, stub)
        case events.Unreadable():
            stub = _stub(event, "delivery", None)
            stub.unreadable_ms = event.at_ms
            _add_message(batch, stub)
        case events.Label():
            _add_label(batch, event)
        case events.Thread():
            _add_conversation(batch, _thread(event))
        case events.Notice():
            _add_notice(batch, event)
        case _:
            assert_never(event)


def _message(event: events.Message) -> MessageRow:
    rank = RANK[event.source]
    row = MessageRow(
        page_id=event.page_id,
        mid=event.mid,
        platform=event.platform,
        source=event.source,
        source_rank=rank,
        participant_id=event.participant_id,
        direction=event.direction,
        kind=event.kind,
        reply_to_mid=event.reply_to_mid,
        app_id=event.app_id,
        sent_ms=event.sent_ms,
        sent_exact=event.exact,
    )
    if event.extra is not None:
        row.extra = event.extra.decode()
    if event.text is not None:
        row.text = event.text
        row.text_as_of_ms, row.text_num_edit, row.text_rank = event.as_of_ms, 0, rank
    if event.attachments is not None:
        row.attachments = event.attachments.decode()
        row.attachments_digest = blake2b(event.attachments, digest_size=16).digest()
        row.attachments_key = event.attachments_key
        row.attachments_as_of_ms, row.attachments_rank = event.as_of_ms, rank
    return row


def _stub(
    event: events.Edit | events.Unsend | events.Reaction | events.Read | events.Unreadable,
    source: Source,
    direction: events.Direction | None,
) -> MessageRow:
    """Return what an event tells of a message that may not have come yet."""
    return MessageRow(
        page_id=event.page_id,
        mid=event.mid or "",
        platform=event.platform,
        source=source,
        source_rank=RANK[source],
        participant_id=event.participant_id,
        direction=direction,
    )


def _edit(event: events.Edit) -> MessageRow:
    row = _stub(event, "edit", event.direction)
    row.num_edit, row.edited_ms = event.num_edit, event.at_ms
    if event.text is not None:
        row.text = event.text
        row.text_as_of_ms, row.text_num_edit = event.at_ms, event.num_edit
        row.text_rank = RANK["edit"]
    return row


def _thread(event: events.Thread) -> ConversationRow:
    row = ConversationRow(
        page_id=event.page_id,
        participant_id=event.participant_id,
        platform=event.platform,
        thread_id=event.thread_id,
    )
    if event.participant_name:
        row.participant_name, row.name_as_of_ms = event.participant_name, event.as_of_ms
    if event.updated_ms is not None:
        row.updated_ms, row.updated_as_of_ms = event.updated_ms, event.as_of_ms
    return row


def _add_message(batch: Batch, row: MessageRow) -> None:
    known = batch.messages.setdefault((row.page_id, row.mid), row)
    if known is not row:
        known.join(row)


def _add_conversation(batch: Batch, row: ConversationRow) -> None:
    known = batch.conversations.setdefault((row.page_id, row.participant_id), row)
    if known is not row:
        known.join(row)


def _add_read(batch: Batch, event: events.Read) -> None:
    row = ConversationRow(
        page_id=event.page_id, participant_id=event.participant_id, platform=event.platform
    )
    row.read_event_ms = event.watermark_ms
    _add_conversation(batch, row)
    if event.mid is not None:
        # Only what the Page sent can be read by the person.
        stub = _stub(event, "read", "out")
        stub.read_ms = event.at_ms
        _add_message(batch, stub)


def _add_delivery(batch: Batch, event: events.Delivery) -> None:
    row = ConversationRow(
        page_id=event.page_id, participant_id=event.participant_id, platform=event.platform
    )
    row.delivered_watermark_ms = event.watermark_ms
    _add_conversation(batch, row)
    for mid in event.mids:
        stub = MessageRow(
            page_id=event.page_id,
            mid=mid,
            platform=event.platform,
            source="delivery",
            source_rank=RANK["delivery"],
            participant_id=event.participant_id,
            direction="out",
        )
        _add_message(batch, stub)


def _add_reaction(batch: Batch, event: events.Reaction) -> None:
    row = ReactionRow(
        page_id=event.page_id,
        mid=event.mid,
        actor_id=event.actor_id,
        participant_id=event.participant_id,
        acted_ms=event.at_ms,
        active=event.active,
        reaction=event.reaction,
        emoji=event.emoji,
    )
    known = batch.reactions.setdefault((row.page_id, row.mid, row.actor_id), row)
    if known is not row:
        known.join(row)
    _add_message(batch, _stub(event, "reaction", None))


def _add_label(batch: Batch, event: events.Label) -> None:
    tag = TagRow(
        page_id=event.page_id,
        source="facebook",
        key=event.label_id,
        name=event.name,
        name_as_of_ms=event.at_ms,
    )
    known = batch.tags.setdefault((tag.page_id, tag.source, tag.key), tag)
    if known is not tag:
        known.join(tag)
    worn = ConversationTagRow(
        page_id=event.page_id,
        participant_id=event.participant_id,
        source="facebook",
        key=event.label_id,
        active=event.active,
        acted_ms=event.at_ms,
    )
    key = (worn.page_id, worn.participant_id, worn.source, worn.key)
    worn_before = batch.conversation_tags.setdefault(key, worn)
    if worn_before is not worn:
        worn_before.join(worn)


def _add_notice(batch: Batch, event: events.Notice) -> None:
    batch.events.setdefault(
        (event.page_id, event.key),
        EventRow(
            page_id=event.page_id,
            event_key=event.key,
            platform=event.platform,
            kind=event.kind,
            participant_id=event.participant_id,
            occurred_ms=event.occurred_ms,
            payload=event.payload,
            understood=event.understood,
        ),
    )
