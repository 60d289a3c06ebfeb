"""Browser sessions: a random token stands for the API key that opened it."""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from msgspec import Struct

from shared.config import Secret
from shared.errors import NotFound
from shared.store import queries
from shared.store.database import Database
from shared.store.keys import ApiKey

LIFE = timedelta(days=7)
"""A session lasts this long, or as long as its key if that is shorter."""

_SQL = queries.load("sessions.sql")


class Session(Struct, frozen=True):
    """An open session: the key it was opened with, and its own end."""

    key: ApiKey
    expires_at: datetime


async def begin(database: Database, key: UUID) -> tuple[Secret, datetime]:
    """Open a session for a key; return what the browser keeps, and when it ends.

    Raises NotFound when the key is gone.
    """
    token = secrets.token_urlsafe(32)
    async with database.connection() as connection:
        expires_at: datetime | None = await connection.fetchval(
            _SQL["open_session"], _digest(token), key, LIFE
        )
    if expires_at is None:
        raise NotFound("This key no longer exists.")
    return Secret(token), expires_at


async def find(database: Database, token: str) -> Session | None:
    """Return the session of a token, or None where it or its key has ended."""
    async with database.connection() as connection:
        row = await connection.fetchrow(_SQL["find_session"], _digest(token))
    if row is None:
        return None
    values = dict(row)
    expires_at = values.pop("session_expires_at")
    return Session(msgspec.convert(values, ApiKey), expires_at)


async def end(database: Database, token: str) -> None:
    """Close a session; one that is closed already stays so."""
    async with database.connection() as connection:
        await connection.execute(_SQL["close_session"], _digest(token))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
