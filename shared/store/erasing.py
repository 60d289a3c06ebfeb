"""Erases people from every table, and keeps them erased whoever brings them again.

A person is known by PSID or IGSID, which is another one for every Page. What stays is a tombstone:
a digest under a salt that never changes, from which nobody reads the id.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Struct

from shared import log, metrics
from shared.errors import Conflict
from shared.ids import conversation_id
from shared.store import pages, queries
from shared.store.database import Connection, Database
from shared.store.rows import Batch

_log = log.get(__name__)
_SQL = queries.load("erasing.sql")

_ROWS_AT_ONCE = 1_000
_THEIRS = "page_id = $1 and participant_id = $2"
_NAMED_IN = "page_id = $1 and participant_id is null and names_person({}, $2)"

_TABLES = (
    ("reactions", _THEIRS),
    ("messages", _THEIRS),
    ("conversation_tags", _THEIRS),
    ("conversations", _THEIRS),
    ("events", _THEIRS),
    ("events", _NAMED_IN.format("payload")),
    ("raw_events", _THEIRS),
    ("raw_events", _NAMED_IN.format("bytes")),
    ("dead_letters", "(page_id = $1 or page_id is null) and names_person(bytes, $2)"),
    ("changes", _THEIRS),
    ("sync_findings", _THEIRS),
    ("sync_listed", _THEIRS),
    ("sync_unlisted", _THEIRS),
    ("app_users", _THEIRS),
)

# As names_person() reads them; all ids that Facebook gives people are such numbers.
_NUMBERS = re.compile(rb"[0-9]{5,}")

Asked: TypeAlias = tuple[str | None, str]
"""An entry's id and a person; None: at any Page."""


class _Row(Protocol):
    @property
    def page_id(self) -> str: ...
    @property
    def participant_id(self) -> str | None: ...


class Erased(Struct, frozen=True, kw_only=True):
    """What an erasure at one Page removed: rows by table. Its conversation is to be announced."""

    page_id: str
    conversation_id: UUID
    rows: dict[str, int]


async def whereabouts(database: Database, person: str, page: str | None) -> list[str]:
    """Return the entry ids where a person is to be erased.

    Those of `page` (any of its ids), or else of all Pages that know the person. Raises NotFound
    for a Page nobody knows.
    """
    if page is not None:
        return (await pages.find(database, page)).entry_ids
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["pages_of_person"], person)
    return [row["id"] for row in rows]


async def erase(database: Database, page_id: str, person: str) -> Erased:
    """Erase a person at one Page for good; again after a crash, it goes on where it stopped.

    `page_id` is an entry id. Raises Conflict when the id is that of a Page.
    """
    if page_id == person:
        raise Conflict(f"{person} is the Page itself, not a person.")
    async with database.transaction() as connection:
        await connection.execute(_SQL["wait_for_writers"])
        await connection.execute(_SQL["put_up_tombstone"], page_id, person)
    rows: dict[str, int] = {}
    for table, whose in _TABLES:
        sql = _SQL["erase_rows"].format(table=table, whose=whose)
        rows[table] = rows.get(table, 0) + await _erase_rows(database, sql, page_id, person)
    erased = Erased(page_id=page_id, conversation_id=conversation_id(page_id, person), rows=rows)
    async with database.transaction() as connection:
        await connection.execute(_SQL["restart_walks"], page_id, person)
        await connection.execute(_SQL["insert_change"], page_id, erased.conversation_id)
        counts = msgspec.json.encode(rows).decode()
        await connection.execute(_SQL["insert_erasure"], page_id, person, counts)
    _log.info("erased", page=page_id, rows=sum(rows.values()))
    return erased


async def _erase_rows(database: Database, sql: str, page_id: str, person: str) -> int:
    """Delete in transactions of their own, so that no batch of events waits for long."""
    count, gone = 0, _ROWS_AT_ONCE
    while gone >= _ROWS_AT_ONCE:
        async with database.connection() as connection:
            gone = await connection.fetchval(sql, page_id, person, _ROWS_AT_ONCE)
        count += gone
    return count


async def erased_among(database: Database, page_id: str, people: list[str]) -> set[str]:
    """Return which of these people were erased at a Page."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["erased_among"], [page_id] * len(people), people)
    return {row["person"] for row in rows}


async def leave_out(connection: Connection, batch: Batch) -> None:
    """Take out of a batch what concerns erased people; nobody else is erased until COMMIT."""
    people = asked(batch)
    if not people:
        return
    found = await connection.fetch(
        _SQL["erased_among"], [page_id for page_id, _ in people], [person for _, person in people]
    )
    if found:
        take_out(batch, {(row["of_page"], row["person"]) for row in found})


def asked(batch: Batch) -> list[Asked]:
    """Return whom a batch tells of, to be asked for in `erased_among`; Page None means any."""
    return sorted(set(_people(batch)), key=lambda one: (one[0] or "", one[1]))


def take_out(batch: Batch, erased: set[Asked]) -> None:
    """Take out of a batch what concerns these people."""
    before = _size(batch)
    _leave_out(batch, erased)
    metrics.erased_rows.inc(before - _size(batch))


def _people(batch: Batch) -> Iterator[Asked]:
    """Yield (Page, person) for everybody a batch tells of."""
    theirs: list[Mapping[Any, _Row]] = [
        *(batch.messages, batch.reactions, batch.conversations, batch.conversation_tags)
    ]
    for rows in theirs:
        for row in rows.values():
            if row.participant_id is not None:
                yield row.page_id, row.participant_id
    for event in batch.events.values():
        yield from _named(event, event.payload)
    for raw in batch.raws.values():
        yield from _named(raw, raw.bytes)
    for letter in batch.dead:
        yield from _numbers(letter.page_id, letter.bytes)


def _named(row: _Row, content: bytes | None) -> Iterator[Asked]:
    """Yield whom a row tells of: its participant, or else whoever its content may name."""
    if row.participant_id is not None:
        yield row.page_id, row.participant_id
    else:
        yield from _numbers(row.page_id, content or b"")


def _numbers(page_id: str | None, content: bytes) -> Iterator[Asked]:
    return ((page_id, number) for number in numbers(content))


def numbers(content: bytes) -> set[str]:
    """Return the numbers in some bytes that may be the ids of people."""
    return {number.decode() for number in _NUMBERS.findall(content)}


def _leave_out(batch: Batch, erased: set[Asked]) -> None:
    def stays(row: _Row) -> bool:
        return (row.page_id, row.participant_id) not in erased

    batch.messages = {k: row for k, row in batch.messages.items() if stays(row)}
    batch.reactions = {k: row for k, row in batch.reactions.items() if stays(row)}
    batch.conversations = {k: row for k, row in batch.conversations.items() if stays(row)}
    batch.conversation_tags = {k: row for k, row in batch.conversation_tags.items() if stays(row)}
    batch.events = {
        k: row for k, row in batch.events.items() if erased.isdisjoint(_named(row, row.payload))
    }
    batch.raws = {
        k: row for k, row in batch.raws.items() if erased.isdisjoint(_named(row, row.bytes))
    }
    batch.dead = [row for row in batch.dead if erased.isdisjoint(_numbers(row.page_id, row.bytes))]


def _size(batch: Batch) -> int:
    return sum(len(getattr(batch, name)) for name in Batch.__struct_fields__)
