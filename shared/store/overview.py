"""What people see of Pages and their syncs. `pages` as in `shared.store.reading`."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Struct

from shared.errors import NotFound
from shared.store import queries
from shared.store.database import Database
from shared.store.pages import Status
from shared.store.reading import PageName, Pages
from shared.store.runs import Counts, Run

_SQL = queries.load("reading.sql")


class PageOverview(Struct, frozen=True, kw_only=True):
    """A Page; `run_id` is the sync that runs or waits, the next one to end."""

    id: UUID
    facebook_page_id: str
    instagram_id: str | None
    name: str
    status: Status
    status_reason: str | None
    is_active: bool
    last_synced_at: datetime | None
    proven_at: datetime | None
    proven_level: str | None
    run_id: UUID | None


class PageSums(Struct, frozen=True):
    """How many conversations a Page or Instagram account has, and when its newest message was."""

    conversations: int
    last_message_at: datetime | None


class RunOverview(Struct, frozen=True):
    """A sync, and its Page; one of many Pages at once has none."""

    run: Run
    page: PageName | None


async def pages(
    database: Database, pages: Pages, *, page: UUID | None = None
) -> list[PageOverview]:
    """Return the Pages by name, removed ones too, or the one with our id `page`."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["pages"], pages, page)
    return [PageOverview(**row) for row in rows]


async def page_sums(database: Database, pages: Pages) -> dict[str, PageSums]:
    """Return what the conversations of each Page add up to, by the ids their rows go by."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["page_sums"], pages)
    return {row["page_id"]: PageSums(row["conversations"], row["last_message_at"]) for row in rows}


async def runs(
    database: Database, pages: Pages, *, ids: Sequence[UUID] | None = None, limit: int = 50
) -> list[RunOverview]:
    """Return the syncs last asked for, or those of `ids`."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["runs"], pages, ids, limit)
    return [_overview(row) for row in rows]


async def run(database: Database, pages: Pages, run_id: UUID) -> RunOverview:
    """Return a sync; raises NotFound."""
    found = await runs(database, pages, ids=[run_id])
    if not found:
        raise NotFound("There is no such job.")
    return found[0]


async def members(database: Database, pages: Pages, batch_id: UUID) -> list[RunOverview]:
    """Return the syncs a sync of many Pages stands for, by Page's name."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["run_members"], pages, batch_id)
    return [_overview(row) for row in rows]


async def has_open_history(database: Database, pages: Pages) -> bool:
    """Tell whether a conversation still has older messages to be fetched."""
    async with database.connection() as connection:
        return bool(await connection.fetchval(_SQL["has_open_history"], pages))


def _overview(row: asyncpg.Record) -> RunOverview:
    told = {name: row[name] for name in Run.__struct_fields__}
    told["counts"] = msgspec.json.decode(row["counts"], type=Counts)
    told["options"] = msgspec.json.decode(row["options"])
    page = None
    if row["page_uuid"] is not None:
        page = PageName(id=row["page_uuid"], name=row["page_name"])
    return RunOverview(Run(**told), page)
