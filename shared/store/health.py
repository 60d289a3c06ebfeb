"""How Postgres does, and how alive a Page is: what a person asks when something seems wrong."""

from collections.abc import Collection
from datetime import datetime, timedelta

from msgspec import Struct

from shared.store import queries
from shared.store.database import Database

_SQL = queries.load("health.sql")

OLDEST = 15
"""The oldest major version that everything is tested with."""


class Server(Struct, frozen=True, kw_only=True):
    """The Postgres server as one look finds it; `now` is its clock."""

    version: str
    major: int
    connections: int
    most_connections: int
    read_only: bool
    now: datetime


class Rhythm(Struct, frozen=True, kw_only=True):
    """A Page's newest message, and the longest pause between its latest ones; None: too few.

    `person` is the PSID of who was last in touch with it on Messenger, if anybody.
    """

    last_at: datetime | None
    longest_pause: timedelta | None
    person: str | None


async def server(database: Database) -> Server:
    """Return how the server does."""
    async with database.connection() as connection:
        [row] = await connection.fetch(_SQL["server"])
    return Server(**row)


async def rhythm(database: Database, page_ids: Collection[str]) -> Rhythm:
    """Return how alive a Page is that goes by these entry ids."""
    async with database.connection() as connection:
        [row] = await connection.fetch(_SQL["rhythm"], list(page_ids))
    return Rhythm(**row)
