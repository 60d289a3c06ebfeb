"""Real servers for the tests: one PostgreSQL and one Valkey a session, a fresh database a test."""

import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from deploy.local import servers

_numbers = itertools.count()


@pytest.fixture(scope="session")
def _home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pagewire-test-") as name:
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


@pytest.fixture
async def empty_database(postgres_server: str) -> AsyncIterator[str]:
    """The DSN of a database with nothing in it, dropped after the test."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(postgres_server)
    try:
        await admin.execute(f"create database {name}")
        yield postgres_server.replace("/postgres?", f"/{name}?")
        await admin.execute(f"drop database {name} with (force)")
    finally:
        await admin.close()


@pytest.fixture
async def redis_url(redis_server: str) -> AsyncIterator[str]:
    """The URL of an empty Redis."""
    async with redis.asyncio.Redis.from_url(redis_server) as client:
        await client.flushall()
    yield redis_server
