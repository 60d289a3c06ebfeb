"""Brings a database up to date: numbered plain SQL files, applied once, in order, under a lock."""

import re
from pathlib import Path

import asyncpg

from shared.errors import PagewireError
from shared.store.database import cannot_connect

_FOLDER = Path(__file__).parent / "migrations"
# Any constant will do, so long as nothing else in the database takes the same advisory lock.
_LOCK = 7_241_932_014


class MigrationFailed(PagewireError):
    """A migration did not apply; nothing of it is kept."""


def files() -> dict[str, str]:
    """Return the migrations this release knows: file name without `.sql` -> SQL, in order."""
    return {
        path.stem: path.read_text(encoding="utf-8")
        for path in sorted(_FOLDER.iterdir())
        if re.fullmatch(r"\d{4}_\w+\.sql", path.name)
    }


async def _connect(dsn: str) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(dsn, timeout=10)
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise cannot_connect(error) from error


async def _applied(connection: asyncpg.Connection) -> set[str]:
    if await connection.fetchval("select to_regclass('migrations')") is None:
        return set()
    return {row["name"] for row in await connection.fetch("select name from migrations")}


async def pending(dsn: str) -> list[str]:
    """Return the names of the migrations the database still lacks; raises Unavailable."""
    connection = await _connect(dsn)
    try:
        applied = await _applied(connection)
        return [name for name in files() if name not in applied]
    finally:
        await connection.close()


async def migrate(dsn: str) -> list[str]:
    """Apply what is missing and return its names; two processes may do so at once.

    Raises Unavailable when Postgres does not answer and MigrationFailed naming the file.
    """
    connection = await _connect(dsn)
    try:
        # A session lock: the second process waits here, then finds nothing left to do.
        await connection.execute("select pg_advisory_lock($1)", _LOCK)
        await connection.execute(
            "create table if not exists migrations"
            " (name text primary key, applied_at timestamptz not null default now())"
        )
        applied = await _applied(connection)
        done = []
        for name, sql in files().items():
            if name in applied:
                continue
            try:
                async with connection.transaction():
                    await connection.execute(sql)
                    await connection.execute("insert into migrations (name) values ($1)", name)
            except asyncpg.PostgresError as error:
                raise MigrationFailed(f"Migration {name} did not apply: {error}") from error
            done.append(name)
        return done
    finally:
        await connection.close()
