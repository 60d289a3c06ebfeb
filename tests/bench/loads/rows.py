"""What became of a load: rows of `messages`."""

import asyncio
import time
from collections.abc import Sequence

import asyncpg

from tests.bench.follower import Row
from tests.bench.sender import send
from tests.bench.systems import Running
from tests.bench.traffic import events, posts

WARM = 200
"""Events before the measured ones: processes start, connections open, statements are prepared."""

ROWS = (
    "select mid, xmin::text::bigint, extract(epoch from pg_xact_commit_timestamp(xmin))::float8"
    " from messages"
)


async def warm(it: Running) -> None:
    """Start a worker, and have it store something."""
    it.start_workers()
    await send(it.port, posts(events(WARM, seed=1)))
    await arrived(it.database, WARM)


async def arrived(database: str, expected: int) -> list[Row]:
    """Wait for so many messages, or for no more to come; return them.

    Counting takes the longer the more there are, so it is done the less often.
    """
    connection = await asyncpg.connect(database)
    try:
        found, moved = 0, time.monotonic()
        while found < expected and time.monotonic() - moved < 10:
            await asyncio.sleep(0.2 + expected / 100_000)
            now = await connection.fetchval("select count(*) from messages")
            if now != found:
                found, moved = now, time.monotonic()
        return [Row(*row) for row in await connection.fetch(ROWS)]
    finally:
        await connection.close()


async def those_of(database: str, mids: Sequence[str]) -> list[Row]:
    """Return those of some messages that are stored."""
    connection = await asyncpg.connect(database)
    try:
        return [Row(*row) for row in await connection.fetch(f"{ROWS} where mid = any($1)", mids)]
    finally:
        await connection.close()


async def value(database: str, sql: str) -> float:
    """Return the one number a query asks for."""
    connection = await asyncpg.connect(database)
    try:
        return float(await connection.fetchval(sql))
    finally:
        await connection.close()
