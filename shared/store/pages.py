"""The Pages we keep: which there are, and what may be done with them."""

import math
import time
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

import asyncpg
from msgspec import Struct

from shared.errors import Conflict, NotFound
from shared.store import queries
from shared.store.database import Connection, Database

Status: TypeAlias = Literal["active", "paused", "parked", "removed"]

_SQL = queries.load("pages.sql")

# What is told of a Page, in the order it may go: what others point to last.
_PURGED = (
    "raw_events",
    "dead_letters",
    "changes",
    "conversation_tags",
    "tags",
    "reactions",
    "events",
    "messages",
    "conversations",
    "sync_findings",
    "sync_listed",
    "sync_unlisted",
    "sync_points",
    "sync_runs",
    "app_users",
)
_PURGE_ROWS = 1_000


class Page(Struct, frozen=True, kw_only=True):
    """One Page as it is stored, without its token.

    `last_synced_at` is the oldest sync point of its walks; `proven_at` and `proven_level` tell when
    and how deeply it was last verified to be complete.
    """

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
    created_at: datetime

    @property
    def entry_ids(self) -> list[str]:
        """The ids its webhooks' entries and its rows go by: the Page's, its Instagram account's."""
        return [self.facebook_page_id, *([self.instagram_id] if self.instagram_id else [])]


class StoredToken(Struct, frozen=True, kw_only=True):
    """A Page's encrypted token, as it lies in the table."""

    page: UUID
    facebook_page_id: str
    token: bytes


async def add(
    database: Database,
    *,
    facebook_page_id: str,
    name: str,
    instagram_id: str | None,
    token: bytes | None,
) -> Page:
    """Add a Page, or make a known one active again under the id it had, and return it.

    `token` comes encrypted, bound to `facebook_page_id`. What is None keeps what a known Page has.
    Raises Conflict when the Instagram account is linked to another Page, or is none.
    """
    async with database.transaction() as connection:
        await _require_no_page(connection, instagram_id)
        page = await _linked(connection, _SQL["add_page"], facebook_page_id, name, instagram_id)
        if token is not None:
            await connection.execute(_SQL["give_token"], page, token)
        return await _get(connection, page)


async def find(
    database: Database, any_id: str | UUID, *, only: Collection[str] | None = None
) -> Page:
    """Return the Page with our id, Facebook's id or its Instagram account's id `any_id`.

    `only` are the Facebook ids of the Pages that may be seen. Raises NotFound for all others.
    """
    async with database.connection() as connection:
        return await _get(connection, any_id, only)


async def listing(database: Database, *, only: Collection[str] | None = None) -> list[Page]:
    """Return all Pages, removed ones too, by name; `only` as in `find`."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["list_pages"], None if only is None else list(only))
    return [Page(**row) for row in rows]


async def change(
    database: Database,
    page: UUID,
    *,
    name: str | None,
    instagram_id: str | None,
    token: bytes | None,
) -> Page:
    """Change what is told of a Page, and return it; what is None stays.

    `token` comes encrypted; with a new one a parked Page goes on. Raises NotFound, and Conflict
    when the Instagram account is linked to another Page, or is none.
    """
    async with database.transaction() as connection:
        await _require_no_page(connection, instagram_id)
        if not await _linked(connection, _SQL["change_page"], page, name, instagram_id):
            raise NotFound(f"No Page has the id {page}.")
        if token is not None:
            await connection.execute(_SQL["give_token"], page, token)
        return await _get(connection, page)


async def pause(database: Database, page: UUID) -> Page:
    """Let a Page rest: no sync until it is resumed. Raises NotFound, and Conflict if removed."""
    return await _set_status(database, page, "paused")


async def resume(database: Database, page: UUID) -> Page:
    """Let a paused or parked Page go on. Raises NotFound, and Conflict if removed."""
    return await _set_status(database, page, "active")


async def remove(database: Database, page: UUID, *, purge: bool = False) -> None:
    """Erase a Page's token and stop its syncs; its rows stay unless `purge`. Raises NotFound.

    A purge goes a few rows at a time and may be interrupted: the Page goes last.
    """
    async with database.connection() as connection:
        if not await connection.fetchval(_SQL["remove_page"], page):
            raise NotFound(f"No Page has the id {page}.")
        if not purge:
            return
        gone = await _get(connection, page)
        for table in _PURGED:
            await _purge(connection, table, gone.entry_ids)
        await connection.execute(_SQL["purge_page"], page)


async def token(database: Database, page: UUID) -> bytes | None:
    """Return a Page's encrypted token, or None where there is none."""
    async with database.connection() as connection:
        found: bytes | None = await connection.fetchval(_SQL["page_token"], page)
    return found


async def tokens(database: Database) -> list[StoredToken]:
    """Return all tokens there are, for them to be encrypted anew."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["page_tokens"])
    return [StoredToken(page=row[0], facebook_page_id=row[1], token=row[2]) for row in rows]


async def replace_token(database: Database, old: StoredToken, new: bytes) -> bool:
    """Put `new` where `old` still is; tell whether it was: a token just given by a person stays."""
    async with database.connection() as connection:
        return bool(await connection.fetchval(_SQL["replace_token"], old.page, old.token, new))


async def _get(
    connection: Connection, any_id: str | UUID, only: Collection[str] | None = None
) -> Page:
    row = await connection.fetchrow(
        _SQL["find_page"], _as_uuid(any_id), str(any_id), None if only is None else list(only)
    )
    if row is None:
        raise NotFound(f"No Page has the id {any_id}.")
    return Page(**row)


def _as_uuid(any_id: str | UUID) -> UUID | None:
    try:
        return any_id if isinstance(any_id, UUID) else UUID(any_id)
    except ValueError:
        return None


async def _require_no_page(connection: Connection, instagram_id: str | None) -> None:
    """Raise Conflict for the id of a Page: whoever sees an account's Page would see that one."""
    if instagram_id is not None and await connection.fetchval(_SQL["is_page"], instagram_id):
        raise Conflict(f"{instagram_id} is the id of a Page, not of an Instagram account.")


async def _linked(connection: Connection, sql: str, *values: object) -> UUID:
    """Run a statement that links an Instagram account; raises Conflict if another Page has it."""
    try:
        page: UUID = await connection.fetchval(sql, *values)
    except asyncpg.UniqueViolationError:
        raise Conflict("This Instagram account is linked to another Page.") from None
    return page


async def _set_status(database: Database, page: UUID, status: Status) -> Page:
    async with database.transaction() as connection:
        changed = await connection.fetchval(_SQL["set_page_status"], page, status)
        found = await _get(connection, page)
    if not changed:
        raise Conflict(f"Page {found.name} is {found.status}: it cannot become {status}.")
    return found


async def _purge(connection: Connection, table: str, page_ids: list[str]) -> None:
    sql = _SQL["purge_rows"].format(table=table)
    while await connection.fetchval(sql, page_ids, _PURGE_ROWS):
        pass


class KnownPages:
    """Which ids of webhook entries are ours: Pages and their linked Instagram accounts.

    What is known is kept in memory for a minute: a Page that was purged is a stranger after it. An
    unknown id is asked for again, at most once a second, so that a Page that was just added is
    known from its next event on.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[str] = set()
        self._known_since = -math.inf
        self._asked: dict[str, float] = {}

    async def unknown(self, ids: Iterable[str]) -> set[str]:
        """Return those ids that belong to no Page of ours."""
        now = time.monotonic()
        if now - self._known_since > 60:
            self._known.clear()
            self._known_since = now
        strange = set(ids) - self._known
        ask = [page_id for page_id in strange if now - self._asked.get(page_id, -1) >= 1]
        if ask:
            async with self._database.connection() as connection:
                rows = await connection.fetch(_SQL["known_page_ids"], ask)
            self._known |= {row["id"] for row in rows}
            if len(self._asked) > 10_000:
                self._asked.clear()
            self._asked |= dict.fromkeys(ask, now)
        return strange - self._known
