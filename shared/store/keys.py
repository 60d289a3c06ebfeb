"""API keys: made once, shown once, kept as a digest."""

import hashlib
import re
import secrets
from collections.abc import Collection
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID, uuid4

import asyncpg
from msgspec import Struct

from shared.config import Secret
from shared.errors import Conflict, NotFound
from shared.store import queries
from shared.store.database import Database

Scope: TypeAlias = Literal["read", "sync", "admin"]
"""What a key may do; each of them includes those before it."""

_SQL = queries.load("keys.sql")

PREFIX = "pw_live_"
"""How every key begins, for scanners that look for leaked secrets."""


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key without its secret; `pages` are Facebook's ids of the Pages it sees, None for all."""

    id: UUID
    name: str
    scope: Scope
    pages: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


async def create(
    database: Database,
    *,
    name: str,
    scope: Scope,
    pages: Collection[str] | None,
    expires: datetime | None,
) -> tuple[ApiKey, Secret]:
    """Make a key and return it with what to present as `Bearer`, which nobody can show again.

    It reads `pw_live_<first 8 digits of the id>_<256 random bits in hexadecimal>`.
    """
    key = uuid4()
    plaintext = f"{PREFIX}{key.hex[:8]}_{secrets.token_hex(32)}"
    async with database.connection() as connection:
        [row] = await connection.fetch(
            _SQL["create_key"],
            key,
            name,
            _digest(plaintext),
            scope,
            None if pages is None else sorted(set(pages)),
            expires,
        )
    return _key(row), Secret(plaintext)


async def find(database: Database, plaintext: str) -> ApiKey | None:
    """Return the key so presented, or None where it is unknown, revoked or expired.

    What is looked up is its digest: how long that takes tells nothing about the keys there are.
    That it was used is noted, at most once a minute.
    """
    async with database.connection() as connection:
        row = await connection.fetchrow(_SQL["find_key"], _digest(plaintext))
        if row is None:
            return None
        if row["unnoted"]:
            await connection.execute(_SQL["note_key_use"], row["id"])
    return _key(row)


async def listing(database: Database) -> list[ApiKey]:
    """Return all keys, the oldest first, revoked and expired ones too."""
    async with database.connection() as connection:
        return [_key(row) for row in await connection.fetch(_SQL["list_keys"])]


async def revoke(database: Database, called: str) -> ApiKey:
    """Revoke a key, by its id or at least the first eight digits of it, and return it.

    Raises NotFound, and Conflict where several keys' ids begin so.
    """
    start = called.replace("-", "").lower()
    async with database.connection() as connection:
        found = []
        if re.fullmatch(r"[0-9a-f]{8,32}", start):
            found = await connection.fetch(_SQL["keys_called"], start)
        if not found:
            raise NotFound("No key has this id.")
        if len(found) > 1:
            raise Conflict(f"Several keys' ids begin with {start}.")
        [row] = await connection.fetch(_SQL["revoke_key"], found[0]["id"])
    return _key(row)


def _digest(plaintext: str) -> bytes:
    # A key is random in all of its 256 bits: a fast hash is enough.
    return hashlib.sha256(plaintext.encode("utf-8", "surrogateescape")).digest()


def _key(row: asyncpg.Record) -> ApiKey:
    pages = row["pages"]
    return ApiKey(
        id=row["id"],
        name=row["name"],
        scope=row["scope"],
        pages=None if pages is None else tuple(pages),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )
