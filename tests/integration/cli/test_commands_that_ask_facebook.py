"""`page import`, `page subscribe`, `token rotate`: what they ask Facebook, what they store."""

import base64

import pytest

from deploy.simulator import Simulator
from shared.config import Secret
from shared.crypto import KeyRing
from shared.facebook.graph.requests import WANTED_FIELDS
from shared.store import pages
from shared.store.database import Database
from tests.integration.cli.called import KEY, Command

pytestmark = pytest.mark.usefixtures("configured")
NEWER = base64.urlsafe_b64encode(bytes(32)).decode()


async def import_all(run: Command, facebook: Simulator) -> list[dict]:
    token = facebook.tokens.user
    ended = await run("page", "import", "--user-token-file", "-", "--json", stdin=token)
    assert ended.status == 0, ended.err
    return ended.json


async def test_all_pages_of_a_user_are_imported_with_their_tokens(
    run: Command, facebook: Simulator, store: Database
) -> None:
    imported = await import_all(run, facebook)
    assert {page["facebook_page_id"] for page in imported} == set(facebook.truth.pages)
    assert all(page["instagram_id"] for page in imported)
    keys = KeyRing([Secret(KEY)])
    opened = {
        one.facebook_page_id: keys.decrypt(one.token, one.facebook_page_id)
        for one in await pages.tokens(store)
    }
    assert opened == facebook.tokens.of_page
    again = await import_all(run, facebook)
    assert {page["id"] for page in again} == {page["id"] for page in imported}


async def test_a_dead_user_token_imports_nothing_and_says_why(
    run: Command, facebook: Simulator, store: Database
) -> None:
    ended = await run("page", "import", "--user-token-file", "-", stdin="EAABdead0123456789")
    assert (ended.status, ended.out) == (1, "")
    assert "190" in ended.err
    assert "EAABdead" not in ended.err
    assert await pages.listing(store) == []


async def test_a_graph_that_is_away_is_said_to_be(
    run: Command, facebook: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPH_API_URL", "http://127.0.0.1:1")
    ended = await run("page", "import", "--user-token-file", "-", stdin="token")
    assert (ended.status, "Graph API does not answer" in ended.err) == (1, True)
    assert "GRAPH_API_URL" in ended.err
    assert "DATABASE_URL" not in ended.err


async def test_a_page_is_subscribed_to_every_field_that_is_understood_beside_those_it_had(
    run: Command, facebook: Simulator
) -> None:
    await import_all(run, facebook)
    for page in facebook.truth.pages.values():
        page.subscribed_fields = frozenset()
    first, *others = facebook.truth.pages.values()
    first.subscribed_fields = frozenset({"feed"})
    assert (await run("page", "subscribe", first.id)).status == 0
    assert first.subscribed_fields == {*WANTED_FIELDS, "feed"}
    assert not others[0].subscribed_fields


async def test_one_pages_refusal_does_not_keep_the_others_from_being_subscribed(
    run: Command, facebook: Simulator
) -> None:
    await import_all(run, facebook)
    dead, *others = facebook.truth.pages.values()
    facebook.tokens.kill(dead, 460)
    ended = await run("page", "subscribe", "--all", "--json")
    assert ended.status == 1
    assert [row["page"] for row in ended.json if row["error"]] == [dead.name]
    assert all(page.subscribed_fields >= set(WANTED_FIELDS) for page in others)


async def test_tokens_are_encrypted_anew_under_the_first_key(
    run: Command, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in ("1", "2"):
        await run("page", "add", number, "--name", "x", "--token-file", "-", stdin="token")
    monkeypatch.setenv("TOKEN_ENCRYPTION_KEYS", f"{NEWER},{KEY}")
    rotated = await run("token", "rotate", "--json")
    assert (rotated.status, rotated.json["rotated"]) == (0, 2)
    alone = KeyRing([Secret(NEWER)])
    assert {
        alone.decrypt(one.token, one.facebook_page_id) for one in await pages.tokens(store)
    } == {"token"}
    assert (await run("token", "rotate", "--json")).json["rotated"] == 0


async def test_a_token_whose_key_is_missing_is_named_and_kept(
    run: Command, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run("page", "add", "1", "--name", "x", "--token-file", "-", stdin="token")
    before = await pages.tokens(store)
    monkeypatch.setenv("TOKEN_ENCRYPTION_KEYS", NEWER)
    ended = await run("token", "rotate")
    assert (ended.status, "Page 1" in ended.err) == (1, True)
    assert await pages.tokens(store) == before
