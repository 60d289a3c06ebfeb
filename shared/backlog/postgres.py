"""Postgres as the backlog uses it: a small pool that needs no server to be opened."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg

from shared.errors import Unavailable

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

# asyncpg says InternalClientError where it lends a connection that is just being ended.
_PASSING = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


async def _keep_session(_: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Reset nothing: no session state is ever set, and asyncpg's reset costs a round trip."""


async def open_pool(dsn: str, *, size: int, patience: float) -> Pool:
    """Return a pool of at most `size` connections whose statements end within `patience` seconds.

    It connects when first used, so a process may start while Postgres is down.
    """
    pool = asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=size,
        timeout=patience,
        command_timeout=patience,
        reset=_keep_session,
        # What is committed here is acknowledged to Facebook, whatever the server's default is.
        server_settings={"synchronous_commit": "on", "application_name": "pagewire backlog"},
    )
    await pool
    return pool


@asynccontextmanager
async def acquired(pool: Pool, patience: float) -> AsyncIterator[Connection]:
    """Lend a connection of the pool, waiting at most `patience` seconds for it.

    Turns whatever Postgres or the way to it does wrong into Unavailable.
    """
    try:
        # acquire() is the only way to bound the wait: execute(timeout=) does not.
        async with pool.acquire(timeout=patience) as connection:
            yield connection
    except asyncpg.UndefinedTableError as error:
        raise Unavailable(
            "The database lacks Pagewire's tables: run `pagewire migrate`."
        ) from error
    except _PASSING as error:
        raise Unavailable(f"Postgres does not answer: {type(error).__name__}: {error}") from error
