"""Writes one batch of rows in one transaction and tells what it changed."""

from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
from msgspec import Struct, field

from shared import metrics
from shared.ids import conversation_id
from shared.store import erasing, queries
from shared.store.database import Connection, Database
from shared.store.privacy import insert_requests
from shared.store.rows import Batch, ConversationRow, DeadLetter, MessageRow, columns

_SQL = queries.load("queries.sql")
# A redelivery comes within 36 hours (Facebook's longest retry); two days leave room for a backlog.
_REDELIVERY = timedelta(days=2)

Key = tuple[str, str]
Within = Callable[[Connection], Awaitable[None]]


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


async def apply(database: Database, batch: Batch, within: Within | None = None) -> Applied:
    """Join a batch into the tables in one transaction; `within` runs in it, before its COMMIT.

    What concerns erased people is taken out of the batch.

    Raises what Postgres raised: `database.is_transient` tells trouble that passes from data it
    refuses. After trouble at COMMIT it is open whether the batch was written: write it again.
    """
    async with database.transaction() as connection:
        await erasing.leave_out(connection, batch)
        applied = await _Writing(connection, batch).run()
        if within is not None:
            await within(connection)
    return applied


class _Writing:
    """One run over the tables, always in the order of `run`, so that no two wait in a circle."""

    def __init__(self, connection: Connection, batch: Batch) -> None:
        self._connection = connection
        self._batch = batch
        self._kinds: dict[Key, set[str]] = {}
        self._conversations = dict(batch.conversations)
        self._recount: set[Key] = set()
        self._written: set[Key] = set()
        self._gone: set[Key] = set()
        self._newly_gone: set[Key] = set()
        self._applied = Applied()

    async def run(self) -> Applied:
        if self._batch.messages:
            await self._write_messages()
        if self._batch.reactions:
            await self._write_reactions()
        if self._conversations:
            await self._write_conversations()
        if self._batch.conversation_tags:
            await self._write_tags()
        if self._batch.events:
            rows = list(self._batch.events.values())
            await self._connection.execute(_SQL["insert_events"], *columns(rows))
        if self._newly_gone:
            await self._forget_copies()
        if self._batch.raws:
            await self._write_raws()
        if self._batch.dead:
            await insert_dead_letters(self._connection, self._batch.dead)
        if self._batch.requests:
            await insert_requests(self._connection, self._batch.requests)
        await self._write_changes()
        return self._applied

    def _touch(self, key: Key, kind: str) -> None:
        self._kinds.setdefault(key, set()).add(kind)

    async def _write_messages(self) -> None:
        rows = sorted(self._batch.messages.values(), key=lambda row: (row.page_id, row.mid))
        before = await self._stored_messages(rows)
        new = [row for row in rows if not self._adds_nothing(row, before)]
        if new:
            for record in await self._connection.fetch(_SQL["upsert_messages"], *columns(new)):
                self._message_written(record, before.get((record["page_id"], record["mid"])))

    async def _stored_messages(self, rows: list[MessageRow]) -> dict[Key, MessageRow]:
        found = await self._connection.fetch(
            _SQL["stored_messages"], [row.page_id for row in rows], [row.mid for row in rows]
        )
        return {(record["page_id"], record["mid"]): MessageRow(**record) for record in found}

    def _adds_nothing(self, row: MessageRow, before: dict[Key, MessageRow]) -> bool:
        """Tell whether a message is stored with all that `row` tells, so that nothing is written.

        Even an update that changes nothing would write a row version and its WAL.
        """
        old = before.get((row.page_id, row.mid))
        if old is None:
            return False
        if old.deleted_ms is not None:
            self._gone.add((row.page_id, row.mid))
        joined = copy(old)
        joined.join(row)
        if joined != old:
            return False
        self._mention(row.page_id, old.participant_id)
        return True

    def _mention(self, page_id: str, participant_id: str | None) -> None:
        if participant_id is not None:
            self._applied.mentioned.add((page_id, participant_id))

    def _message_written(self, now: asyncpg.Record, old: MessageRow | None) -> None:
        page_id, mid, participant_id = now["page_id"], now["mid"], now["participant_id"]
        self._written.add((page_id, mid))
        if now["deleted_ms"] is not None:
            self._gone.add((page_id, mid))
            if old is None or old.deleted_ms is None:
                self._newly_gone.add((page_id, mid))
        if participant_id is None:
            return
        key = (page_id, participant_id)
        self._mention(*key)
        platform = self._batch.messages[page_id, mid].platform
        row = self._conversation(key, platform)
        if now["inserted"]:
            if now["sent_ms"] is not None:
                self._applied.new_messages += 1
                row.saw(now["sent_ms"], mid, now["direction"])
                self._touch(key, "message")
            if now["read_ms"] is not None:
                self._recount.add(key)
            return
        # A stored message changed: its conversation may end elsewhere now.
        self._recount.add(key)
        if old is None:
            # Another writer stored it between our look and our write.
            self._touch(key, "message")
            return
        if old.participant_id not in {None, participant_id}:
            moved_from = (page_id, old.participant_id)
            self._conversation(moved_from, platform)
            self._recount.add(moved_from)
            self._touch(moved_from, "message")
        self._applied.new_messages += old.sent_ms is None and now["sent_ms"] is not None
        for kind, fields in _VISIBLE.items():
            if any(getattr(old, name) != now[name] for name in fields):
                self._touch(key, kind)

    def _conversation(self, key: Key, platform: str) -> ConversationRow:
        row = self._conversations.get(key)
        if row is None:
            row = ConversationRow(page_id=key[0], participant_id=key[1], platform=platform)
            self._conversations[key] = row
        return row

    async def _write_reactions(self) -> None:
        rows = list(self._batch.reactions.values())
        for row in rows:
            self._mention(row.page_id, row.participant_id)
        for record in await self._connection.fetch(_SQL["upsert_reactions"], *columns(rows)):
            self._touch((record["page_id"], record["participant_id"]), "reaction")

    async def _write_conversations(self) -> None:
        rows = sorted(
            self._conversations.values(), key=lambda row: (row.page_id, row.participant_id)
        )
        told = [row for row in rows if row.thread_id is not None]
        before = {}
        if told:
            ids = [conversation_id(row.page_id, row.participant_id) for row in told]
            for record in await self._connection.fetch(_SQL["conversations_before"], ids):
                before[record["page_id"], record["participant_id"]] = record
        written = await self._connection.fetch(
            _SQL["upsert_conversations"],
            *columns(rows),
            [conversation_id(row.page_id, row.participant_id) for row in rows],
            [(row.page_id, row.participant_id) in self._recount for row in rows],
        )
        for row in rows:
            self._mention(row.page_id, row.participant_id)
        for record in written:
            self._conversation_written(record, before)
        if self._recount:
            keys = sorted(self._recount)
            await self._connection.execute(
                _SQL["recount_conversations"],
                [key[0] for key in keys],
                [key[1] for key in keys],
                [conversation_id(*key) for key in keys],
            )

    def _conversation_written(self, now: asyncpg.Record, before: dict[Key, asyncpg.Record]) -> None:
        key = (now["page_id"], now["participant_id"])
        if now["inserted"]:
            self._applied.new_conversations.add(key)
            self._touch(key, "conversation")
        told = self._batch.conversations.get(key)
        if told is None:
            return
        if told.read_event_ms is not None:
            self._touch(key, "read")
        if told.delivered_watermark_ms is not None:
            self._touch(key, "delivery")
        old = before.get(key)
        if old is not None and any(
            old[name] != now[name] for name in ("thread_id", "participant_name", "updated_ms")
        ):
            self._touch(key, "conversation")

    async def _write_tags(self) -> None:
        if self._batch.tags:
            tags = columns(list(self._batch.tags.values()))
            for record in await self._connection.fetch(_SQL["wearers_of_renamed"], *tags):
                self._touch((record["page_id"], record["participant_id"]), "tag")
            await self._connection.execute(_SQL["upsert_tags"], *tags)
        worn = list(self._batch.conversation_tags.values())
        for record in await self._connection.fetch(
            _SQL["upsert_conversation_tags"], *columns(worn)
        ):
            self._touch((record["page_id"], record["participant_id"]), "tag")

    async def _forget_copies(self) -> None:
        keys = sorted(self._newly_gone)
        for statement in ("forget_raw_events", "forget_dead_letters"):
            await self._connection.execute(
                _SQL[statement], [key[0] for key in keys], [key[1] for key in keys]
            )

    async def _write_raws(self) -> None:
        rows = list(self._batch.raws.values())
        for row in rows:
            if row.mid is not None and (row.page_id, row.mid) in self._gone and not row.is_unsend:
                row.bytes = None
        oldest = min(row.received_ms for row in rows)
        since = datetime.fromtimestamp(oldest / 1000, UTC) - _REDELIVERY
        arrays = columns(rows)[:7]
        arrays[1] = tuple(UUID(bytes=identity) for identity in arrays[1])
        kept = await self._connection.fetch(_SQL["insert_raw_events"], *arrays, since)
        new = [self._batch.raws[row["identity"].bytes] for row in kept]
        # A message we wrote is ours until the end. One that an item told nothing new of (an old
        # edit) is not: whoever marks it as unsent right now would not see the item, nor we that.
        if others := [
            row
            for row in new
            if row.mid is not None
            and not row.is_unsend
            and (row.page_id, row.mid) not in self._written
        ]:
            await self._connection.execute(
                _SQL["forget_new_raw_events"],
                [UUID(bytes=row.identity) for row in others],
                [row.page_id for row in others],
                [row.mid for row in others],
                since,
            )

    async def _write_changes(self) -> None:
        for (page_id, participant_id), kinds in sorted(self._kinds.items()):
            key = (page_id, participant_id)
            self._applied.changes[key] = Change(
                page_id, participant_id, conversation_id(*key), frozenset(kinds)
            )
        changes, spans = list(self._applied.changes.values()), self._batch.spans
        if changes or spans:
            await self._connection.execute(
                _SQL["insert_changes"],
                [change.page_id for change in changes],
                [change.participant_id for change in changes],
                [change.conversation_id for change in changes],
                [",".join(sorted(change.kinds)) for change in changes],
                [span.ingress for span in spans],
                [span.boot for span in spans],
                [span.first for span in spans],
                [span.past for span in spans],
            )


# What a reader can see of a message, by the kind of change it makes.
_VISIBLE = {
    "message": ("participant_id", "direction", "sent_ms", "reply_to_mid", "kind"),
    "content": ("text", "attachments_key", "unreadable_ms"),
    "edit": ("num_edit",),
    "unsend": ("deleted_ms",),
    "read": ("read_ms",),
}


async def insert_dead_letters(connection: Connection, letters: Sequence[DeadLetter]) -> list[int]:
    """Keep what could not become rows; the same bytes for the same reason are kept once.

    Return the ids of those that were not open already.
    """
    opened = await connection.fetch(_SQL["insert_dead_letters"], *columns([*letters]))
    for letter in letters:
        metrics.dead_letters.labels(letter.reason).inc()
    return [row["id"] for row in opened]
