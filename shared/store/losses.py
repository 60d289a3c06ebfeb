"""Which acknowledged envelopes were applied, and how many are lost for certain."""

from msgspec import Struct

from shared.store import queries
from shared.store.database import Database

_SQL = queries.load("losses.sql")


class Owed(Struct, frozen=True):
    """What one boot of an ingress acknowledged and nobody applied: a multirange of numbers."""

    ingress: str
    boot: str
    envelopes: str


async def fold(database: Database) -> None:
    """Add what was applied lately to what is known of each boot."""
    async with database.connection() as connection:
        await connection.execute(_SQL["fold"])
        await connection.execute(_SQL["settle"])


async def owed(database: Database) -> list[Owed]:
    """Return what is neither applied nor counted as lost."""
    async with database.connection() as connection:
        return [Owed(**row) for row in await connection.fetch(_SQL["owed"])]


async def count_as_lost(database: Database, given_up: list[Owed]) -> int:
    """Note as lost what is still not applied, with a gap to be repaired; return how many."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            _SQL["count_as_lost"],
            [one.ingress for one in given_up],
            [one.boot for one in given_up],
            [one.envelopes for one in given_up],
        )
    return sum(row["lost"] for row in rows)


async def lost(database: Database) -> int:
    """Return how many acknowledged envelopes are lost."""
    async with database.connection() as connection:
        [row] = await connection.fetch(_SQL["lost"])
    envelopes: int = row["envelopes"]
    return envelopes
