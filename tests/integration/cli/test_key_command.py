"""`pagewire key`: shown once, then only ever named."""

import pytest

from shared.store import keys
from shared.store.database import Database
from tests.integration.cli.called import Command

pytestmark = pytest.mark.usefixtures("configured")


async def test_a_key_is_printed_once_and_opens_what_it_says(run: Command, store: Database) -> None:
    await run("page", "add", "1023", "--name", "Corner shop", "--instagram", "178")
    made = await run("key", "create", "--scope", "sync", "--page", "178", "--json")
    assert (made.status, made.err) == (0, "")
    key = await keys.find(store, made.json["key"])
    assert key is not None
    assert (key.scope, key.pages, key.expires_at) == ("sync", ("1023",), None)
    for listed in (await run("key", "list"), await run("key", "list", "--json")):
        assert made.json["key"] not in listed.out


async def test_stdout_is_the_key_alone(run: Command, store: Database) -> None:
    made = await run("key", "create", "--scope", "read", "--expires", "90d", "--name", "reports")
    key = await keys.find(store, made.out.rstrip("\n"))
    assert key is not None
    assert key.expires_at is not None
    assert "not shown again" in made.err


async def test_a_key_for_an_unknown_page_is_not_made(run: Command, store: Database) -> None:
    ended = await run("key", "create", "--scope", "read", "--page", "404")
    assert (ended.status, ended.out) == (1, "")
    assert await keys.listing(store) == []


@pytest.mark.parametrize(
    "wrong", [[], ["--scope", "owner"], ["--scope", "read", "--expires", "-1d"]]
)
async def test_a_key_nobody_could_use_is_not_made(run: Command, wrong: list[str]) -> None:
    assert (await run("key", "create", *wrong)).status == 2


@pytest.mark.parametrize("how", ["id", "start", "key"])
async def test_a_key_is_revoked_by_its_id_its_start_or_itself(
    run: Command, store: Database, how: str
) -> None:
    made = (await run("key", "create", "--scope", "read", "--json")).json
    called = {"id": made["id"], "start": made["id"][:8], "key": made["key"]}[how]
    revoked = await run("key", "revoke", called)
    assert revoked.status == 0
    assert made["key"] not in revoked.out
    assert await keys.find(store, made["key"]) is None
    assert "revoked" in (await run("key", "list")).out
    assert (await run("key", "revoke", "00000000")).status == 1
