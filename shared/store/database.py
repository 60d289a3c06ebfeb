"""Connections to Postgres, and what its errors mean for the work at hand."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from shared.errors import Unavailable

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

# The same work may succeed later: connection lost (08), resources (53), shut down or starting
# (57P), serialization and deadlock (40), lock not to be had (55P03), failed over to a read-only
# server (25006), cancelled by a timeout (57014).
_TRANSIENT = ("08", "40", "53", "57", "55P03", "25006")


# Said instead of the driver's words, which may quote a URL.
_WHY: tuple[tuple[type[BaseException], str], ...] = (
    (asyncpg.InvalidPasswordError, "it refuses the user or the password"),
    (asyncpg.InvalidAuthorizationSpecificationError, "it refuses the user or the password"),
    (asyncpg.InvalidCatalogNameError, "it has no database of that name"),
    (asyncpg.TooManyConnectionsError, "it has no connection left"),
    (asyncpg.CannotConnectNowError, "it is starting or stopping"),
    (ConnectionRefusedError, "nothing listens there"),
    (FileNotFoundError, "nothing listens there"),
    (socket.gaierror, "its host is unknown"),
    (TimeoutError, "it did not answer in time"),
    (ValueError, "the URL is not one Postgres can be reached by"),
)


class NotMigrated(Unavailable):
    """The database is not up to date: run `pagewire migrate`."""


def cannot_connect(error: BaseException) -> Unavailable:
    """Return the error that says in a word why there is no connection."""
    why = next((why for kind, why in _WHY if isinstance(error, kind)), type(error).__name__)
    return Unavailable(f"Postgres does not answer: {why}")


def is_transient(error: BaseException) -> bool:
    """Tell whether the same statement may succeed later, on another connection."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_TRANSIENT)
    # asyncpg raises InterfaceError for a connection that was closed under it, and
    # InternalClientError where it gives back one that is being closed.
    passing = (
        OSError | TimeoutError | asyncpg.InterfaceError | asyncpg.InternalClientError | Unavailable
    )
    return isinstance(error, passing) and not isinstance(error, asyncpg.DataError)


def is_refusal(error: BaseException) -> bool:
    """Tell whether Postgres refuses the data itself, now and whenever it is tried again."""
    return isinstance(error, asyncpg.DataError | asyncpg.PostgresError) and not is_transient(error)


async def _keep_session(_: object) -> None:
    """Reset nothing: no session state is ever set, and asyncpg's reset costs a round trip."""


class Database:
    """A pool of connections to one Postgres.

    `writer` settings make every plan the nested index lookup its statement was written for, and
    have it made once (planning costs a quarter of a millisecond a statement). It may be made while
    the tables are empty and is kept when they are large; a test holds it to the right index.

    `?pgbouncer=true` in the URL says that statements may go to another server each: then every loan
    is one transaction, and no statement is prepared for a later one.
    """

    def __init__(
        self, dsn: str, *, low: int = 0, high: int = 10, writer: bool = False, timeout: float = 30
    ) -> None:
        self._dsn, self._shared = _without_mark(dsn)
        self._low, self._high, self._timeout = low, high, timeout
        self._settings = {"application_name": "pagewire", "jit": "off"}
        if writer:
            self._settings |= {
                "enable_seqscan": "off",
                "enable_hashjoin": "off",
                "enable_mergejoin": "off",
                "plan_cache_mode": "force_generic_plan",
                "lock_timeout": "10s",
                # A worker that froze or lost its network must not keep its locks: others take
                # over its entries after 15 s.
                "idle_in_transaction_session_timeout": "10s",
            }
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    async def _opened(self) -> "asyncpg.Pool[asyncpg.Record]":
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._dsn,
                    min_size=self._low,
                    max_size=self._high,
                    timeout=5,
                    command_timeout=self._timeout,
                    max_inactive_connection_lifetime=300,
                    statement_cache_size=0 if self._shared else 100,
                    server_settings=self._settings,
                    reset=_keep_session,
                )
            return self._pool

    @asynccontextmanager
    async def connection(self, wait: float = 10) -> AsyncIterator[Connection]:
        """Lend a connection; raises Unavailable when none can be had within `wait` seconds.

        A statement on a table that is not there raises NotMigrated.
        """
        try:
            pool = self._pool or await self._opened()
            connection = await pool.acquire(timeout=wait)
        except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise cannot_connect(error) from error
        try:
            async with connection.transaction() if self._shared else nullcontext():
                yield connection
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
            raise NotMigrated from error
        finally:
            await pool.release(connection, timeout=5)

    @asynccontextmanager
    async def transaction(self, wait: float = 10) -> AsyncIterator[Connection]:
        """Lend a connection within a transaction: committed at the end, or nothing is kept."""
        async with self.connection(wait) as connection, connection.transaction():
            yield connection

    @property
    def in_use(self) -> int:
        """How many connections are lent out now."""
        return 0 if self._pool is None else self._pool.get_size() - self._pool.get_idle_size()

    @property
    def most(self) -> int:
        """How many connections there may be."""
        return self._high

    async def close(self) -> None:
        """Close the pool: politely for three seconds, then at once."""
        if self._pool is None:
            return
        try:
            await asyncio.wait_for(self._pool.close(), 3)
        except TimeoutError:
            self._pool.terminate()


def _without_mark(dsn: str) -> tuple[str, bool]:
    """Return the URL without `pgbouncer=true`, and whether it had that."""
    address, _, query = dsn.partition("?")
    options = query.split("&") if query else []
    kept = [option for option in options if option != "pgbouncer=true"]
    return "?".join(filter(None, (address, "&".join(kept)))), kept != options
