"""Dead letters: what could not become rows, kept with its bytes for a person to decide about."""

from collections.abc import Collection
from datetime import datetime

import asyncpg
from msgspec import Struct

from shared.errors import NotFound
from shared.store import queries
from shared.store.database import Connection, Database

_SQL = queries.load("dead.sql")


class Group(Struct, frozen=True, kw_only=True):
    """The open letters of one reason."""

    reason: str
    count: int
    oldest: datetime
    newest: datetime


class Letter(Struct, frozen=True, kw_only=True):
    """One letter without its bytes, which are `size` long.

    `page_id` is the id of the webhook's entry, where it had one. Open while `resolved_at` is None;
    `resolution` is then None or `retrying`, afterwards `retried` or `discarded`.
    """

    id: int
    source: str
    reason: str
    error: str
    object: str | None
    page_id: str | None
    size: int
    received_at: datetime
    first_seen: datetime
    tries: int
    resolved_at: datetime | None
    resolution: str | None


class Taken(Struct, frozen=True, kw_only=True):
    """A letter to be retried: a webhook's body, of one item as a rule, or a job nobody could do.

    `source` is `job` for those; `object` is then the job's name.
    """

    id: int
    source: str
    reason: str
    object: str | None
    page_id: str | None
    bytes: bytes
    received_ms: int


async def groups(database: Database, *, page_ids: Collection[str] | None = None) -> list[Group]:
    """Return how many letters are open, by reason; of all, or of the entry ids given."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["dead_groups"], _array(page_ids))
    return [Group(**row) for row in rows]


async def listing(
    database: Database,
    *,
    reason: str | None = None,
    page_ids: Collection[str] | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Letter]:
    """Return a slice of the open letters, the newest first, those below the id `before`."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["list_dead"], reason, _array(page_ids), before, limit)
    return [Letter(**row) for row in rows]


async def show(
    database: Database, letter: int, *, page_ids: Collection[str] | None = None
) -> tuple[Letter, bytes]:
    """Return a letter, open or not, and its bytes. Raises NotFound."""
    async with database.connection() as connection:
        row = await connection.fetchrow(_SQL["show_dead"], letter, _array(page_ids))
    if row is None:
        raise NotFound(f"There is no dead letter {letter}.")
    found = dict(row)
    kept: bytes = found.pop("bytes")
    return Letter(**found), kept


async def discard(
    database: Database,
    *,
    ids: Collection[int] | None = None,
    reason: str | None = None,
    page_ids: Collection[str] | None = None,
) -> int:
    """Decide that open letters need nothing, and return how many: what fits all that is given."""
    async with database.connection() as connection:
        done = await connection.fetch(_SQL["discard_dead"], _array(ids), reason, _array(page_ids))
    return len(done)


async def take(
    database: Database,
    *,
    ids: Collection[int] | None = None,
    reason: str | None = None,
    page_ids: Collection[str] | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[Taken]:
    """Return the oldest open letters above the id `after`, by id, to be retried.

    They stay open until `retried` is told that their bytes are back where they came from.
    """
    async with database.connection() as connection:
        rows = await connection.fetch(
            _SQL["take_dead"], _array(ids), reason, _array(page_ids), after, limit
        )
    return _taken(rows)


async def waiting(
    database: Database, *, page: str | None = None, after: int = 0, limit: int = 100
) -> list[Taken]:
    """Take the letters whose Page was unknown when they came and is known by now.

    `page` is either of Facebook's ids of one Page; None: of all Pages.
    """
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["waiting_dead"], page, after, limit)
    return _taken(rows)


async def retried(database: Database, letters: Collection[Taken]) -> None:
    """Note that letters are back; one that failed again in the meantime stays open."""
    async with database.connection() as connection:
        await connection.execute(_SQL["retried_dead"], [letter.id for letter in letters])


async def acquit(connection: Connection, ids: Collection[int]) -> None:
    """Take letters back, in the transaction that shows that they were none."""
    await connection.execute(_SQL["acquit_dead"], list(ids))


def _array(values: Collection[object] | None) -> list[object] | None:
    return None if values is None else list(values)


def _taken(rows: list[asyncpg.Record]) -> list[Taken]:
    return sorted((Taken(**row) for row in rows), key=lambda letter: letter.id)
