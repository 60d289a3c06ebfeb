"""What the inbox promises beyond what both places do."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from shared.backlog.envelope import Envelope, Origin, pack
from shared.backlog.inbox import Inbox, InboxReader
from shared.backlog.postgres import Pool, open_pool
from shared.errors import Unavailable


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database, size=4, patience=5)
    yield opened
    await opened.close()


def packed(number: int) -> bytes:
    return pack(Origin("door", "boot", number), [Envelope("webhook", 0, b"x")])


async def test_rows_another_is_just_taking_are_passed_over_not_waited_for(pool: Pool) -> None:
    inbox = Inbox(pool, patience=5)
    for number in range(3):
        await inbox.append(packed(number))
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("select from webhook_inbox order by id limit 1 for update")
        taken = await InboxReader(pool, "slot", patience=1).read(10, 1 << 20, 0)
    origins = [entry.origin.first_sequence for entry in taken if entry.origin]
    assert origins == [1, 2]


async def test_how_much_waits_and_since_when_is_told(pool: Pool) -> None:
    inbox = Inbox(pool, patience=5)
    assert await inbox.unapplied() == (0, None)
    await inbox.append(packed(0))
    waiting, age = await inbox.unapplied()
    assert waiting == 1
    assert age is not None
    assert timedelta() <= age < timedelta(seconds=10)


async def test_what_is_appended_is_committed_to_disk_whatever_the_servers_default(
    pool: Pool,
) -> None:
    async with pool.acquire() as connection:
        assert await connection.fetchval("show synchronous_commit") == "on"


async def test_a_busy_pool_is_waited_for_no_longer_than_told(database: str) -> None:
    pool = await open_pool(database, size=1, patience=5)
    async with pool.acquire():
        with pytest.raises(Unavailable, match="Postgres does not answer"):
            await Inbox(pool, patience=0.05).append(packed(0))
    await pool.close()


async def test_a_database_without_the_tables_says_what_to_do(empty_database: str) -> None:
    pool = await open_pool(empty_database, size=1, patience=5)
    with pytest.raises(Unavailable, match="pagewire migrate"):
        await Inbox(pool, patience=5).ping()
    await pool.close()
