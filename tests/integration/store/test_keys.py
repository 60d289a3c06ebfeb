"""API keys: only their digest is kept, and a dead one opens nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import Conflict, NotFound
from shared.store import keys
from shared.store.database import Database
from shared.store.keys import ApiKey


async def create(store: Database, **more: object) -> tuple[ApiKey, str]:
    given = {"name": "reporting", "scope": "read", "pages": None, "expires": None} | more
    key, secret = await keys.create(store, **given)
    return key, secret.reveal()


async def test_a_key_is_found_by_what_was_shown_once(store: Database) -> None:
    key, plaintext = await create(store, scope="sync", pages=["2", "1", "2"])
    found = await keys.find(store, plaintext)
    assert found is not None
    assert (found.id, found.scope, found.pages) == (key.id, "sync", ("1", "2"))
    assert plaintext.startswith(f"pw_live_{key.id.hex[:8]}_")


async def test_the_database_never_sees_the_key(store: Database) -> None:
    _, plaintext = await create(store)
    async with store.connection() as connection:
        [row] = await connection.fetch("select k::text from api_keys k")
    assert plaintext.rsplit("_", 1)[1] not in row[0]


@pytest.mark.parametrize("strange", ["", "pw_live_", "é", "\udcff", "x" * 100_000])
async def test_anything_else_opens_nothing(store: Database, strange: str) -> None:
    await create(store)
    assert await keys.find(store, strange) is None


async def test_a_key_ends_when_it_expires(store: Database) -> None:
    now = datetime.now(UTC)
    _, ended = await create(store, expires=now - timedelta(seconds=1))
    _, lives = await create(store, expires=now + timedelta(hours=1))
    assert await keys.find(store, ended) is None
    assert await keys.find(store, lives) is not None


async def test_a_revoked_key_opens_nothing_and_stays_listed(store: Database) -> None:
    key, plaintext = await create(store)
    other, others = await create(store)
    assert (await keys.revoke(store, plaintext.split("_")[2])).id == key.id
    assert await keys.find(store, plaintext) is None
    assert await keys.find(store, others) is not None
    first = await keys.revoke(store, str(key.id))
    assert (await keys.revoke(store, str(key.id))).revoked_at == first.revoked_at
    assert [one.id for one in await keys.listing(store)] == [key.id, other.id]


@pytest.mark.parametrize("strange", ["", "1234567", "zzzzzzzz", "%", "12345678"])
async def test_no_key_is_revoked_by_guesswork(store: Database, strange: str) -> None:
    await create(store)
    with pytest.raises(NotFound):
        await keys.revoke(store, strange)


async def test_two_keys_that_begin_alike_are_told_apart(store: Database) -> None:
    async with store.connection() as connection:
        await connection.execute(
            "insert into api_keys (id, name, digest, scope) values"
            " ('12345678-0000-0000-0000-000000000001', 'a', '\\x01', 'read'),"
            " ('12345678-0000-0000-0000-000000000002', 'b', '\\x02', 'read')"
        )
    with pytest.raises(Conflict):
        await keys.revoke(store, "12345678")
    assert (await keys.revoke(store, "12345678-0000-0000-0000-000000000002")).name == "b"


async def test_use_is_noted_at_most_once_a_minute(store: Database) -> None:
    key, plaintext = await create(store)

    async def last_used() -> datetime | None:
        await keys.find(store, plaintext)
        [listed] = await keys.listing(store)
        return listed.last_used_at

    first = await last_used()
    assert first is not None
    assert await last_used() == first
    async with store.connection() as connection:
        await connection.execute(
            "update api_keys set last_used_at = now() - interval '61 seconds' where id = $1", key.id
        )
    assert await last_used() > first
