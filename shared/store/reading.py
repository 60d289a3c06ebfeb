"""What people and services read: conversations and messages, each slice by one query.

The structs are what the API shows, by the names it shows them under. `pages` of every function are
the ids of the Pages (and Instagram accounts) whose rows may be seen, None for all of them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Meta, Raw, Struct

from shared.errors import NotFound
from shared.events import Direction
from shared.store import queries
from shared.store.database import Database

Pages: TypeAlias = Sequence[str] | None

_SQL = queries.load("reading.sql")

LAST_MS = (1 << 63) - 1
_LAST_UUID = UUID(int=(1 << 128) - 1)
# Sorts after every mid: no UTF-8 text has a greater first byte.
_LAST_MID = "\U0010ffff"


class Shown(Struct, kw_only=True, rename="camel"):
    """Something the API shows."""


class PageName(Shown):
    """A Page by our id."""

    id: UUID
    name: str


class Tag(Shown):
    """A tag of ours (`local`) or a label of the Page (`facebook`)."""

    name: str
    source: Literal["local", "facebook"]


class LastMessage(Shown):
    """The newest message of a conversation; `text` is its first 300 characters."""

    mid: str
    direction: Direction | None
    kind: str | None
    text: str | None
    attachments: int
    sent_at: datetime
    deleted_at: datetime | None


class Conversation(Shown):
    """A conversation. `page_id` is Facebook's id of the Page, or of its Instagram account."""

    id: UUID
    page_id: str
    page: PageName | None
    platform: str
    participant_id: str
    participant_name: str | None
    thread_id: str | None
    last_message_at: datetime | None
    last_message: LastMessage | None
    unread: bool
    seen_at: datetime | None
    read_watermark_ms: int | None
    delivered_watermark_ms: int | None
    history_complete: bool
    updated_time: datetime | None
    tags: list[Tag]


class Reaction(Shown):
    """What somebody thinks of a message."""

    actor_id: str
    reaction: str | None
    emoji: str | None
    acted_at: datetime


class Message(Shown):
    """A message. `state` says how far one of ours has come; content is null once unsent."""

    mid: str
    direction: Direction | None
    kind: str | None
    text: str | None
    attachments: Annotated[
        Raw,
        Meta(
            extra_json_schema={
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string"},
                        "url": {"type": ["string", "null"]},
                    },
                    "required": ["type"],
                },
            }
        ),
    ]
    sent_at: datetime
    sent_ms: int
    edited_at: datetime | None
    num_edit: int
    deleted_at: datetime | None
    unreadable_at: datetime | None
    reply_to_mid: str | None
    app_id: str | None
    source: str
    extra: Annotated[Raw, Meta(extra_json_schema={"type": ["object", "null"]})]
    reactions: list[Reaction]
    state: Literal["sent", "delivered", "read"] | None


class Place(Struct, frozen=True, array_like=True):
    """Where a slice begins: right after the row of this time and id."""

    ms: int
    id: str


class Wanted(Struct, frozen=True, kw_only=True):
    """Which conversations to list; what is left out does not matter.

    All `words`, or beginnings of words, must stand in one message or in the person's name.
    """

    unread: bool = False
    tag: str | None = None
    words: str | None = None


async def conversation(database: Database, pages: Pages, conversation_id: UUID) -> Conversation:
    """Return a conversation; raises NotFound."""
    sql = _SQL["conversations"].format(chosen=_SQL["chosen_one"])
    async with database.connection() as connection:
        row = await connection.fetchrow(sql, pages, conversation_id)
    if row is None:
        raise NotFound("There is no such conversation.")
    return _conversation(row)


async def conversations(
    database: Database, pages: Pages, wanted: Wanted, *, after: Place | None, limit: int
) -> tuple[list[Conversation], Place | None]:
    """Return a slice of the conversations, the newest first, and where the next one begins.

    A conversation that gets a message meanwhile moves to the front, and is not repeated.
    """
    chosen, values = _chosen(pages, wanted)
    sql = _SQL["conversations"].format(chosen=chosen)
    ms, last = (after.ms, UUID(after.id)) if after else (LAST_MS, _LAST_UUID)
    async with (database.transaction if wanted.words else database.connection)() as connection:
        if wanted.words:
            # How common the words are decides how to look for them: a plan for any would be slow.
            await connection.execute(_SQL["plan_anew"])
        rows = await connection.fetch(sql, pages, limit + 1, ms, last, *values)
    found = [_conversation(row) for row in rows[:limit]]
    more = len(rows) > limit
    place = Place(rows[limit - 1]["last_sent_ms"] or 0, str(found[-1].id)) if more else None
    return found, place


def _chosen(pages: Pages, wanted: Wanted) -> tuple[str, list[Any]]:
    """Return the SQL that chooses conversations, and its values after the fixed four."""
    where: list[str] = []
    values: list[Any] = []

    def value(given: Any) -> str:
        values.append(given)
        return f"${4 + len(values)}"

    if wanted.unread:
        where.append(_SQL["wanted_unread"])
    if wanted.tag is not None:
        where.append(_SQL["wanted_tag"].format(value=value(wanted.tag)))
    if not wanted.words:
        chosen = _SQL["chosen_of_all" if pages is None else "chosen_of_pages"]
        return chosen.format(before=_SQL["before"], wanted="".join(where)), values
    words = value(_query(wanted.words))
    halves = {
        half: _SQL["chosen_of_all"].format(
            before=_SQL["before"],
            wanted="".join([*where, _SQL[f"wanted_{half}"].format(value=words)]),
        )
        for half in ("in_messages", "in_names")
    }
    return _SQL["found"].format(**halves), values


def _query(words: str) -> str:
    """Return the text query that finds beginnings of all `words`, as people type them."""
    quoted = (word.replace("\\", "\\\\").replace("'", "''") for word in words.split())
    return " & ".join(f"'{word}':*" for word in quoted)


async def merge_new_words(database: Database) -> None:
    """Sort the words of new messages into the search index."""
    async with database.connection() as connection:
        await connection.execute(_SQL["merge_new_words"])


async def messages(
    database: Database, pages: Pages, conversation_id: UUID, *, after: Place | None, limit: int
) -> tuple[list[Message], Place | None]:
    """Return a slice of a conversation's messages, the newest first, and where the next begins.

    Raises NotFound.
    """
    ms, mid = (after.ms, after.id) if after else (LAST_MS, _LAST_MID)
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["messages"], pages, conversation_id, limit + 1, ms, mid)
    if not rows:
        raise NotFound("There is no such conversation.")
    if rows[0]["mid"] is None:
        return [], None
    found = [_message(row) for row in rows[:limit]]
    place = Place(found[-1].sent_ms, found[-1].mid) if len(rows) > limit else None
    return found, place


def _conversation(row: asyncpg.Record) -> Conversation:
    last = None
    if row["mid"] is not None:
        last = LastMessage(
            mid=row["mid"],
            direction=row["direction"],
            kind=row["kind"],
            text=row["text"],
            attachments=row["attachments"],
            sent_at=row["sent_at"],
            deleted_at=row["deleted_at"],
        )
    page = None
    if row["page_uuid"] is not None:
        page = PageName(id=row["page_uuid"], name=row["page_name"])
    return Conversation(
        id=row["id"],
        page_id=row["page_id"],
        page=page,
        platform=row["platform"],
        participant_id=row["participant_id"],
        participant_name=row["participant_name"],
        thread_id=row["thread_id"],
        last_message_at=row["last_message_at"],
        last_message=last,
        unread=row["unread"],
        seen_at=row["seen_at"],
        read_watermark_ms=row["read_watermark_ms"],
        delivered_watermark_ms=row["delivered_watermark_ms"],
        history_complete=row["history_complete"],
        updated_time=row["updated_time"],
        tags=msgspec.json.decode(row["tags"], type=list[Tag]) if row["tags"] else [],
    )


_NONE = Raw(b"null")
_EMPTY = Raw(b"[]")


def _message(row: asyncpg.Record) -> Message:
    return Message(
        mid=row["mid"],
        direction=row["direction"],
        kind=row["kind"],
        text=row["text"],
        attachments=Raw(row["attachments"]) if row["attachments"] else _EMPTY,
        sent_at=row["sent_at"],
        sent_ms=row["sent_ms"],
        edited_at=row["edited_at"],
        num_edit=row["num_edit"],
        deleted_at=row["deleted_at"],
        unreadable_at=row["unreadable_at"],
        reply_to_mid=row["reply_to_mid"],
        app_id=row["app_id"],
        source=row["source"],
        extra=Raw(row["extra"]) if row["extra"] else _NONE,
        reactions=_reactions(row["reactions"]),
        state=_state(row),
    )


def _reactions(told: str | None) -> list[Reaction]:
    if told is None:
        return []
    rows = msgspec.json.decode(told, type=list[tuple[str, str | None, str | None, int]])
    return [
        Reaction(
            actor_id=actor_id,
            reaction=reaction,
            emoji=emoji,
            acted_at=datetime.fromtimestamp(acted_ms / 1000, UTC),
        )
        for actor_id, reaction, emoji, acted_ms in rows
    ]


def _state(row: asyncpg.Record) -> Literal["sent", "delivered", "read"] | None:
    """Return how far a message of ours has come, as the person's watermarks tell."""
    if row["direction"] != "out":
        return None
    if row["read_ms"] is not None or row["sent_ms"] <= (row["read_watermark_ms"] or 0):
        return "read"
    return "delivered" if row["sent_ms"] <= (row["delivered_watermark_ms"] or 0) else "sent"
