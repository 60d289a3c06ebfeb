"""What people do to conversations: put tags on them, take them off, look at them.

`pages` as in `shared.store.reading`. Each function tells whether it changed anything; then the
cache must be told.
"""

from datetime import datetime
from uuid import UUID

import asyncpg
from msgspec import Struct

from shared.errors import Conflict, NotFound
from shared.store import queries
from shared.store.database import Database
from shared.store.reading import Pages

_SQL = queries.load("tags.sql")


class Touched(Struct, frozen=True):
    """A conversation somebody did something to, and whether that changed it."""

    conversation_id: UUID
    page_id: str
    changed: bool


async def put(database: Database, pages: Pages, conversation_id: UUID, name: str) -> Touched:
    """Put a tag of ours on a conversation; raises NotFound."""
    return _touched(await _run(database, "put_tag", pages, conversation_id, name))


async def delete(database: Database, pages: Pages, conversation_id: UUID, name: str) -> Touched:
    """Take a tag of ours off a conversation.

    Raises NotFound for the conversation, and Conflict for a label of the Page.
    """
    row = await _run(database, "delete_tag", pages, conversation_id, name)
    if row["labelled"] and not row["changed"]:
        raise Conflict("This is a label of the Page: take it off at Facebook.")
    return _touched(row)


async def see(database: Database, pages: Pages, conversation_id: UUID, until: datetime) -> Touched:
    """Note that somebody has seen a conversation up to a time; raises NotFound."""
    return _touched(await _run(database, "mark_seen", pages, conversation_id, until))


async def _run(
    database: Database, statement: str, pages: Pages, conversation_id: UUID, value: object
) -> asyncpg.Record:
    async with database.connection() as connection:
        row = await connection.fetchrow(_SQL[statement], pages, conversation_id, value)
    if row is None:
        raise NotFound("There is no such conversation.")
    return row


def _touched(row: asyncpg.Record) -> Touched:
    return Touched(row["id"], row["page_id"], row["changed"])
