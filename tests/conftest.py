"""Real servers for the tests: one PostgreSQL and one Valkey a session, a fresh database a test.

Every worker process of a parallel run has servers of its own, so that nothing is shared.
"""

import contextlib
import itertools
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
import redis.asyncio

from deploy.local import servers
from tests.stack import RUNNING

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _nothing_left_running() -> Iterator[None]:
    """End the processes of a test that was cut off, for want of time or by Ctrl-C."""
    # Those of wider fixtures were started before this one.
    before = set(RUNNING)
    yield
    for process in RUNNING - before:
        process.kill()


@pytest.fixture(scope="session")
def _home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pagewire-test-") as name:
        # As root, PostgreSQL runs as another account: it must be able to get there.
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def postgres_server(_home: Path) -> Iterator[str]:
    """The DSN of a throwaway PostgreSQL."""
    with servers.postgres(_home, durable=False) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def redis_server(_home: Path) -> Iterator[str]:
    """The URL of a throwaway Valkey."""
    with servers.redis(_home, durable=False) as url:
        yield url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _template(postgres_server: str) -> str:
    """The name of a database with all migrations, which fresh ones are copied from."""
    from shared.store.migrate import migrate

    async with _connected(postgres_server) as admin:
        await admin.execute("create database template_migrated")
    await migrate(_database_of(postgres_server, "template_migrated"))
    return "template_migrated"


@pytest.fixture
async def empty_database(postgres_server: str) -> AsyncIterator[str]:
    """The DSN of a database with nothing in it, dropped after the test."""
    async with _fresh_database(postgres_server, "template1") as dsn:
        yield dsn


@pytest.fixture
async def database(postgres_server: str, _template: str) -> AsyncIterator[str]:
    """The DSN of a migrated database without rows, dropped after the test."""
    async with _fresh_database(postgres_server, _template) as dsn:
        yield dsn


@pytest.fixture
async def redis_url(redis_server: str) -> str:
    """The URL of an empty Redis."""
    async with redis.asyncio.Redis.from_url(redis_server) as client:
        await client.flushall()
    return redis_server


@contextlib.asynccontextmanager
async def _fresh_database(server: str, template: str) -> AsyncIterator[str]:
    name = f"test_{next(_numbers)}"
    async with _connected(server) as admin:
        await admin.execute(f"create database {name} template {template}")
        yield _database_of(server, name)
        await admin.execute(f"drop database {name} with (force)")


@contextlib.asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


def _database_of(server: str, name: str) -> str:
    return server.replace("/postgres?", f"/{name}?")
