"""Times of which nobody can prove that every event arrived, and the Pages they concern."""

from datetime import datetime

from msgspec import Struct

from shared.store import queries
from shared.store.database import Database

_SQL = queries.load("gaps.sql")


class Gap(Struct, frozen=True, kw_only=True):
    """An open gap: what happened since `from_at` at these Pages is to be read again."""

    id: int
    from_at: datetime
    pages: list[str]


async def open_gaps(database: Database) -> list[Gap]:
    """Return the oldest open gaps with the Facebook ids of the active Pages they concern."""
    async with database.connection() as connection:
        return [
            Gap(
                id=row["id"],
                from_at=row["from_at"],
                pages=[
                    page["facebook_page_id"]
                    for page in await connection.fetch(_SQL["gap_pages"], row["pages"])
                ],
            )
            for row in await connection.fetch(_SQL["open_gaps"])
        ]


async def close(database: Database, gap: Gap) -> None:
    """Note that the repair of a gap is under way; its runs are kept and cannot get lost."""
    async with database.connection() as connection:
        await connection.execute(_SQL["close_gap"], gap.id)
