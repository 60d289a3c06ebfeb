"""The people of conversations: of whom something is still to be asked."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct

from shared.events import Platform
from shared.store import queries
from shared.store.database import Connection, Database

Matter: TypeAlias = Literal["labels", "names"]
"""What is asked of a person."""

_SQL = queries.load("people.sql")


class Person(Struct, frozen=True, kw_only=True):
    """The other side of a conversation that Graph knows."""

    page_id: str
    platform: Platform
    participant_id: str
    thread_id: str


async def due(
    database: Database, matter: Matter, page_ids: Sequence[str], *, but: Sequence[str], most: int
) -> list[Person]:
    """Return people of a Page who are to be asked about, leaving out participants `but`."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL[f"{matter}_due"], page_ids, but, most)
    return [Person(**row) for row in rows]


async def asked(
    connection: Connection, matter: Matter, page_id: str, participant_id: str, at: datetime
) -> None:
    """Remember that a person was asked about, whatever came of it."""
    await connection.execute(_SQL[f"{matter}_asked"], page_id, participant_id, at)


async def worn_labels(database: Database, person: Person) -> set[str]:
    """Return the ids of the Page's labels that a person is known to wear."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["worn_labels"], person.page_id, person.participant_id)
    return {row["key"] for row in rows}
