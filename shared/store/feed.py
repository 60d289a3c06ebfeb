"""What changed, in the order it became visible: for live clients, and for other services.

A position is a snapshot: what was visible then has been seen. It never skips a change that commits
late, and a long transaction elsewhere holds nothing back.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
from msgspec import Struct

from shared.errors import PagewireError
from shared.store import queries
from shared.store.database import Connection, Database
from shared.store.reading import Pages

KEPT = timedelta(hours=24)
"""How long a change can be read; whoever was away longer reads everything anew."""

_SQL = queries.load("feed.sql")
_FORGET_AT_ONCE = 1000


class Forgotten(PagewireError):
    """The feed does not reach back to this position: read everything anew."""


class FeedChange(Struct, frozen=True, kw_only=True):
    """A conversation that changed: `kinds` says how (`message`, `edit`, `read`, `tag`, …)."""

    id: int
    page_id: str
    participant_id: str
    conversation_id: UUID
    kinds: list[str]
    at: datetime


class Look(Struct, frozen=True, kw_only=True):
    """What one look found, and the position after it; with `more`, there is more before that."""

    changes: list[FeedChange]
    position: str
    more: bool


def safe(position: str) -> str:
    """Return a number to resume a position by: all before that transaction has been seen.

    Some of what came after it may be seen twice then.
    """
    return position.partition(":")[0]


def resumed(number: str) -> str:
    """Return the position that `safe` gave a number for; raises Forgotten for other text."""
    if not re.fullmatch(r"[0-9]{1,19}", number) or not 0 < int(number) < 1 << 63:
        raise Forgotten
    return f"{int(number)}:{int(number)}:"


async def now(database: Database) -> str:
    """Return the position of whoever has seen everything up to now."""
    async with database.connection() as connection:
        position: str = await connection.fetchval(_SQL["now"])
    return position


async def since(database: Database, pages: Pages, position: str, *, most: int) -> Look:
    """Return what became visible since a position, at most `most` changes.

    Raises Forgotten when the feed does not reach back so far.
    """
    async with database.connection() as connection:
        await _require(connection, position)
        return await _look(connection, pages, position, None, 0, most)


async def forget(database: Database, kept: timedelta = KEPT) -> None:
    """Delete what is older than `kept`, a little at a time."""
    before = datetime.now(UTC) - kept
    gone = _FORGET_AT_ONCE
    while gone == _FORGET_AT_ONCE:
        async with database.connection() as connection:
            gone = await connection.fetchval(_SQL["forget_changes"], before, _FORGET_AT_ONCE)


class Consumer:
    """A service that reads the feed at its own pace, each change at least once.

    Its position lies in Postgres under its name. Read, do your work, then `done`: what was read
    and not done is read again after a crash. One process at a time per name.

        consumer = Consumer(database, "search-indexer")
        while True:
            if changes := await consumer.read():
                ...
                await consumer.done()
            else:
                await asyncio.sleep(1)
    """

    def __init__(self, database: Database, name: str, pages: Pages = None) -> None:
        self._database = database
        self._name = name
        self._pages = pages
        self._next: tuple[str, str | None, int] | None = None

    async def read(self, most: int = 500) -> Sequence[FeedChange]:
        """Return the changes that come next, in order; nothing when there are none.

        A name nobody has used begins now. Raises Forgotten after an absence longer than KEPT:
        read everything anew, after `restart`.
        """
        async with self._database.connection() as connection:
            [row] = await connection.fetch(_SQL["consumer"], self._name)
            position, until, after = row["since"], row["until"], row["after"]
            await _require(connection, position)
            look = await _look(connection, self._pages, position, until, after, most)
        if look.more:
            self._next = (position, look.position, look.changes[-1].id)
        else:
            self._next = (look.position, None, 0)
        if not look.changes and row["rested"]:
            # Its Pages are silent: the feed must not be forgotten under it meanwhile.
            await self.done()
        return look.changes

    async def done(self) -> None:
        """Note that everything read so far was dealt with."""
        if self._next is not None:
            async with self._database.connection() as connection:
                await connection.execute(_SQL["move_consumer"], self._name, *self._next)

    async def restart(self) -> None:
        """Begin anew with what changes from now on."""
        async with self._database.connection() as connection:
            await connection.execute(_SQL["forget_consumer"], self._name)
            await connection.fetchrow(_SQL["consumer"], self._name)


async def _require(connection: Connection, position: str) -> None:
    if not await connection.fetchval(_SQL["position_is_good"], safe(position)):
        raise Forgotten


async def _look(
    connection: Connection, pages: Pages, position: str, until: str | None, after: int, most: int
) -> Look:
    rows = await connection.fetch(_SQL["changes_since"], position, until, after, most + 1, pages)
    return Look(
        changes=[_change(row) for row in rows[:most] if row["id"] is not None],
        position=rows[0]["until"],
        more=len(rows) > most,
    )


def _change(row: asyncpg.Record) -> FeedChange:
    return FeedChange(**{name: row[name] for name in FeedChange.__struct_fields__})
