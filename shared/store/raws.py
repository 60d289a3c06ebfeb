"""The items of webhooks as they came, kept for RAW_RETENTION."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from shared.store import queries
from shared.store.database import Database

_SQL = queries.load("raws.sql")

BEGIN = UUID(int=0)
"""The place before all items."""


class Raw(Struct, frozen=True, kw_only=True):
    """An item in a webhook body of its own."""

    identity: UUID
    bytes: bytes
    received_ms: int


async def slice_of(
    database: Database,
    *,
    since: datetime,
    page_ids: Collection[str] | None,
    after: UUID,
    most: int,
) -> list[Raw]:
    """Return items received since a time, of all Pages or of the entry ids given.

    Those after the place `after`, which is an item's identity; nothing: there are no more.
    """
    pages = None if page_ids is None else list(page_ids)
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["raw_slice"], since, pages, after, most)
    return [Raw(**row) for row in rows]
