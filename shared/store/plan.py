"""What to write of a batch, given what is stored, and what that changes: pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, TypeAlias
from uuid import UUID

from msgspec import Struct, field
from msgspec.structs import replace

from shared.ids import conversation_id
from shared.store.rows import Batch, ConversationRow, MessageRow, RawRow

Key: TypeAlias = tuple[str, str]

# What a reader can see of a message, and of a conversation, by the kind of change it makes.
_OF_MESSAGE = {
    "message": attrgetter("participant_id", "direction", "sent_ms", "reply_to_mid", "kind"),
    "content": attrgetter("text", "attachments_key", "unreadable_ms"),
    "edit": attrgetter("num_edit"),
    "unsend": attrgetter("deleted_ms"),
    "read": attrgetter("read_ms"),
}
_OF_CONVERSATION = {
    "read": attrgetter("read_event_ms"),
    "delivery": attrgetter("delivered_watermark_ms"),
    "conversation": attrgetter("thread_id", "participant_name", "updated_ms"),
}
# What the statement that writes returns of a message, after its key.
_returned = attrgetter(
    *("participant_id", "direction", "kind", "reply_to_mid", "sent_ms", "text", "attachments_key"),
    *("num_edit", "deleted_ms", "unreadable_ms", "read_ms"),
)


class Change(Struct, frozen=True):
    """A conversation whose rows changed, and in what way (`message`, `edit`, `read`, …)."""

    page_id: str
    participant_id: str
    conversation_id: UUID
    kinds: frozenset[str]


class Applied(Struct):
    """What a batch did: changed conversations by key, and what was really new."""

    changes: dict[Key, Change] = field(default_factory=dict)
    mentioned: set[Key] = field(default_factory=set)
    new_conversations: set[Key] = field(default_factory=set)
    new_messages: int = 0

    def join(self, later: "Applied") -> None:
        """Take in what a later batch did."""
        for key, change in later.changes.items():
            known = self.changes.get(key)
            kinds = change.kinds if known is None else change.kinds | known.kinds
            self.changes[key] = replace(change, kinds=kinds)
        self.mentioned |= later.mentioned
        self.new_conversations |= later.new_conversations
        self.new_messages += later.new_messages


class Stored(Struct):
    """What is stored of what a batch tells.

    `conversations` are those that were looked for, None where there is none. `kept` are the
    identities of raw items. What is stored of a message or conversation is left unread where all
    raw items are `kept`: they were written with everything they tell.
    """

    messages: dict[Key, MessageRow] = field(default_factory=dict)
    conversations: dict[Key, ConversationRow | None] = field(default_factory=dict)
    kept: set[bytes] = field(default_factory=set)


class Plan:
    """The rows to write, and what they change; it holds if nobody stores the same rows meanwhile.

    `messages` and `conversations`, in the order of their keys, are to be joined with what is
    stored; `expected` says what becomes of the messages that are stored already. `recount` are the
    conversations whose end may have moved back. `held` is false where it was written though others
    were quicker.
    """

    def __init__(self, batch: Batch, stored: Stored) -> None:
        self.applied = Applied()
        self.messages: list[MessageRow] = []
        self.expected: dict[Key, MessageRow] = {}
        self.conversations: list[ConversationRow] = []
        self.recount: set[Key] = set()
        self.newly_gone: set[Key] = set()
        self.held = True
        self._stored = stored
        self._kinds: defaultdict[Key, set[str]] = defaultdict(set)
        self._gone: set[Key] = set()
        self._told = {key: replace(row) for key, row in batch.conversations.items()}
        for key in sorted(batch.messages):
            self._take_message(key, batch.messages[key])
        for key in sorted(self._told):
            self._take_conversation(key, self._told[key])
        self.raws = [self._raw(raw) for key, raw in batch.raws.items() if key not in stored.kept]

    def touch(self, key: Key, kind: str) -> None:
        """Note that a conversation changes in such a way."""
        self._kinds[key].add(kind)

    def holds(
        self, messages: Iterable[Sequence[Any]], conversations: Iterable[Sequence[Any]]
    ) -> bool:
        """Tell whether the messages became what was expected, or another writer was quicker.

        `messages` are those that were stored before, as they are now; `conversations` those that
        were not. One that another writer made meanwhile is merely no new one.
        """
        self.applied.new_conversations &= {(page_id, person) for page_id, person in conversations}
        became = {(page_id, mid): tuple(rest) for page_id, mid, *rest in messages}
        return became == {key: _returned(row) for key, row in self.expected.items()}

    def changes(self) -> list[Change]:
        """Return what changes, in the order of keys."""
        self.applied.changes = {
            key: Change(*key, conversation_id(*key), frozenset(kinds))
            for key, kinds in sorted(self._kinds.items())
        }
        return list(self.applied.changes.values())

    def to_hold(self) -> list[Key]:
        """Return which stored messages are to be held before anything is written, in order.

        A written message is ours until the end. Of one that has a raw item, and is not written
        because nothing new is told of it, whoever marks it as unsent right now would not see the
        item, nor we that. Where there is such a one, all are held: one after the other in one
        order, and before any conversation, as everybody does.
        """
        ours = {(row.page_id, row.mid) for row in self.messages}
        theirs = {
            (raw.page_id, raw.mid) for raw in self.raws if raw.mid is not None and not raw.is_unsend
        } - ours
        return sorted(theirs | self.expected.keys()) if theirs else []

    def found_unsent(self, messages: Iterable[Key]) -> None:
        """Take the content out of the raw items of messages that turned out to be unsent."""
        self._gone.update(messages)
        self.raws = [self._raw(raw) for raw in self.raws]

    def _take_message(self, key: Key, row: MessageRow) -> None:
        old = self._stored.messages.get(key)
        if old is None:
            self.messages.append(row)
            self._message_is_new(row)
            return
        now = replace(old)
        now.join(row)
        if now.deleted_ms is not None:
            self._gone.add(key)
        if now == old:
            # Even an update that changes nothing would write a row version and its WAL.
            self._mention(row.page_id, old.participant_id)
            return
        self.messages.append(row)
        self.expected[key] = now
        self._message_changes(old, now)

    def _message_is_new(self, row: MessageRow) -> None:
        if row.deleted_ms is not None:
            self._gone.add((row.page_id, row.mid))
            self.newly_gone.add((row.page_id, row.mid))
        if row.participant_id is None:
            return
        key = (row.page_id, row.participant_id)
        conversation = self._conversation(key, row.platform)
        if row.sent_ms is not None:
            self.applied.new_messages += 1
            conversation.saw(row.sent_ms, row.mid, row.direction)
            self.touch(key, "message")
        if row.read_ms is not None:
            self.recount.add(key)

    def _message_changes(self, old: MessageRow, now: MessageRow) -> None:
        if now.deleted_ms is not None and old.deleted_ms is None:
            self.newly_gone.add((now.page_id, now.mid))
        if now.participant_id is None:
            return
        # Its conversation may end elsewhere now.
        key = (now.page_id, now.participant_id)
        self._conversation(key, now.platform)
        self.recount.add(key)
        if old.participant_id not in {None, now.participant_id}:
            moved_from = (now.page_id, old.participant_id)
            self._conversation(moved_from, now.platform)
            self.recount.add(moved_from)
            self.touch(moved_from, "message")
        self.applied.new_messages += old.sent_ms is None and now.sent_ms is not None
        self._touch_visible(key, _OF_MESSAGE, old, now)

    def _conversation(self, key: Key, platform: str) -> ConversationRow:
        row = self._told.get(key)
        if row is None:
            row = ConversationRow(page_id=key[0], participant_id=key[1], platform=platform)
            self._told[key] = row
        return row

    def _take_conversation(self, key: Key, told: ConversationRow) -> None:
        self._mention(*key)
        old = self._stored.conversations.get(key)
        if old is None:
            self.conversations.append(told)
            # One nobody looked for is there: a stored message belongs to it.
            if key in self._stored.conversations:
                self.applied.new_conversations.add(key)
                self.touch(key, "conversation")
            nothing = ConversationRow(page_id=key[0], participant_id=key[1], platform=told.platform)
            self._touch_visible(key, _OF_CONVERSATION, nothing, told)
            return
        now = replace(old)
        now.join(told)
        if now != old:
            self.conversations.append(told)
            self._touch_visible(key, _OF_CONVERSATION, old, now)
        elif key in self.recount:
            # Written all the same, its row is locked until its end is counted anew.
            self.conversations.append(told)

    def _touch_visible(
        self, key: Key, kinds: Mapping[str, Callable[[Any], Any]], old: Struct, now: Struct
    ) -> None:
        for kind, seen in kinds.items():
            if seen(old) != seen(now):
                self.touch(key, kind)

    def _mention(self, page_id: str, participant_id: str | None) -> None:
        if participant_id is not None:
            self.applied.mentioned.add((page_id, participant_id))

    def _raw(self, raw: RawRow) -> RawRow:
        if raw.mid is not None and (raw.page_id, raw.mid) in self._gone and not raw.is_unsend:
            return replace(raw, bytes=None)
        return raw
