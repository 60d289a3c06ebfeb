"""`pagewire page`: no token is ever an argument, and no Page needs Graph or Redis to be added."""

import pytest
from redis.asyncio import Redis

from shared.config import Secret
from shared.crypto import KeyRing
from shared.queue import LATER, NOW
from shared.store import pages
from shared.store.database import Database
from tests.integration.cli.called import CANARY, KEY, Command, Ended

pytestmark = pytest.mark.usefixtures("configured")


async def queued(redis_url: str) -> list[str]:
    """The names of the jobs in the queues, sorted."""
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        ids = [*await client.zrange(NOW, 0, -1), *await client.zrange(LATER, 0, -1)]
    return sorted(job.split(":")[-2] for job in ids)


async def add(run: Command, *more: str, stdin: str = CANARY) -> Ended:
    return await run(
        *("page", "add", "1023", "--name", "Corner shop", "--token-file", "-", "--json", *more),
        stdin=stdin,
    )


async def test_a_page_is_added_with_its_token_encrypted(run: Command, store: Database) -> None:
    added = await add(run, stdin=f"{CANARY}\n")
    assert added.status == 0
    assert added.json["facebook_page_id"] == "1023"
    page = await pages.find(store, added.json["id"])
    token = await pages.token(store, page.id)
    assert KeyRing([Secret(KEY)]).decrypt(token, "1023") == CANARY
    assert CANARY not in added.out + added.err


async def test_the_token_may_lie_in_a_file_or_in_the_environment(
    run: Command, store: Database, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("from-file\n")
    added = await run("page", "add", "1", "--name", "One", "--token-file", "token", "--json")
    monkeypatch.setenv("PAGE_ACCESS_TOKEN", "from-environment")
    other = await run("page", "add", "2", "--name", "Two", "--json")
    ring = KeyRing([Secret(KEY)])
    for ended, page_id, expected in ((added, "1", "from-file"), (other, "2", "from-environment")):
        token = await pages.token(store, (await pages.find(store, ended.json["id"])).id)
        assert ring.decrypt(token, page_id) == expected


@pytest.mark.parametrize(
    "given", [[CANARY], ["--token", CANARY], [f"--access-token={CANARY}"], ["short-one"]]
)
async def test_a_token_as_an_argument_is_refused_and_not_repeated(
    run: Command, store: Database, given: list[str]
) -> None:
    ended = await run("page", "add", "1023", "--name", "Corner shop", *given)
    assert ended.status == 2
    assert "--token-file" in ended.err
    assert given[-1].split("=")[-1] not in ended.out + ended.err
    assert len(ended.err.splitlines()) == 3
    assert await pages.listing(store) == []


@pytest.mark.parametrize("stdin", ["", "\n", "two words", "x" * 5000, "é", "\x00"])
async def test_what_is_no_token_is_not_stored(run: Command, store: Database, stdin: str) -> None:
    ended = await add(run, stdin=stdin)
    assert (ended.status, ended.out) == (1, "")
    assert "There is no token in standard input." in ended.err
    assert await pages.listing(store) == []


async def test_a_missing_token_file_is_named(run: Command) -> None:
    ended = await run("page", "add", "1", "--name", "x", "--token-file", "nowhere")
    assert ended.status == 2
    assert "nowhere cannot be read" in ended.err


async def test_a_page_can_be_added_without_a_token_and_that_is_said(
    run: Command, redis_url: str
) -> None:
    ended = await run("page", "add", "1023", "--name", "Corner shop")
    assert ended.status == 0
    assert ended.out.startswith("Added Corner shop (1023) as ")
    assert "nothing is synced" in ended.err
    assert await queued(redis_url) == ["apply_waiting", "apply_waiting"]


async def test_adding_asks_for_what_waited_and_for_a_sync(run: Command, redis_url: str) -> None:
    await add(run)
    assert await queued(redis_url) == ["apply_waiting", "apply_waiting", "sync_page"]


async def test_without_scheduled_syncs_a_new_page_is_not_synced_by_itself(
    run: Command, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_INTERVAL", "0")
    await add(run)
    assert await queued(redis_url) == ["apply_waiting", "apply_waiting"]


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "unix:///nowhere.sock", ""])
async def test_a_page_is_added_while_redis_is_away(
    run: Command, store: Database, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    ended = await add(run)
    assert (ended.status, ended.json["name"]) == (0, "Corner shop")
    assert "REDIS_URL" in ended.err
    assert len(await pages.listing(store)) == 1


async def test_adding_a_known_page_keeps_its_id(run: Command) -> None:
    first = await add(run)
    await run("page", "pause", "1023")
    again = await add(run, "--instagram", "178")
    assert again.json == first.json | {"instagram_id": "178"}


async def test_an_instagram_account_of_another_page_is_refused(run: Command) -> None:
    await add(run, "--instagram", "178")
    ended = await run("page", "add", "2", "--name", "Two", "--instagram", "178")
    assert ended.status == 1
    assert "linked to another Page" in ended.err


@pytest.mark.parametrize("page_id", ["EAAB" * 40, "1'--", "٣", "-5", "", "a/b"])
async def test_what_is_no_id_is_refused(run: Command, page_id: str) -> None:
    assert (await run("page", "add", page_id, "--name", "x")).status == 2


async def test_pages_are_listed_for_people_and_for_programs(run: Command) -> None:
    nothing = await run("page", "list")
    assert (nothing.out, "pagewire page add" in nothing.err) == ("", True)
    assert (await run("page", "list", "--json")).json == []
    added = await add(run)
    assert (await run("page", "list", "--json")).json == [added.json]
    head, row = (await run("page", "list")).out.splitlines()
    assert head.split()[:2] == ["name", "status"]
    assert row.split()[-1] == added.json["id"]


async def test_a_page_is_paused_resumed_shown_and_removed(run: Command, store: Database) -> None:
    await add(run)
    assert (await run("page", "pause", "1023", "--json")).json["status"] == "paused"
    assert (await run("page", "resume", "1023", "--json")).json["status"] == "active"
    assert "Corner shop" in (await run("page", "show", "1023")).out
    removed = await run("page", "remove", "1023")
    assert removed.out.startswith("Removed Corner shop")
    assert (await run("page", "show", "1023", "--json")).json["status"] == "removed"
    assert (await run("page", "resume", "1023")).status == 1
    assert await pages.tokens(store) == []
    assert (await run("page", "remove", "1023", "--purge")).status == 0
    assert (await run("page", "list", "--json")).json == []


@pytest.mark.parametrize("verb", ["show", "pause", "resume", "remove"])
async def test_a_page_that_is_not_there_is_named(run: Command, verb: str) -> None:
    ended = await run("page", verb, "404")
    assert (ended.status, ended.out) == (1, "")
    assert "No Page has the id 404." in ended.err


async def test_a_name_cannot_play_with_the_terminal(run: Command) -> None:
    await run("page", "add", "1", "--name", "\x1b[31mred\r\n")
    assert "\x1b" not in (await run("page", "list")).out + (await run("page", "show", "1")).out


async def test_answers_that_show_a_page_are_forgotten_when_it_changes(
    run: Command, redis_url: str
) -> None:
    async with Redis.from_url(redis_url) as client:
        for command in (
            ("page", "add", "1", "--name", "One"),
            ("page", "pause", "1"),
            ("page", "resume", "1"),
            ("page", "remove", "1"),
        ):
            await client.set("pagewire:cache:generation", "kept")
            await run(*command)
            assert await client.get("pagewire:cache:generation") != b"kept"
