"""`pagewire erase` and `pagewire replay`: asked by a person, who is asked in return."""

import pytest
from redis.asyncio import Redis

from shared import queue
from shared.events import Message
from shared.queue import LATER
from shared.store import pages
from shared.store.applying import apply
from shared.store.database import Database
from tests.integration.cli.called import Command
from worker.merge import reduce

pytestmark = pytest.mark.usefixtures("configured")

PAGE, PERSON = "102938475610293", "7392015648120394"


@pytest.fixture
async def told(store: Database) -> Database:
    await pages.add(store, facebook_page_id=PAGE, name="A", instagram_id=None, token=None)
    one = Message(
        platform="messenger",
        page_id=PAGE,
        participant_id=PERSON,
        mid="m_1",
        direction="in",
        source="message",
        sent_ms=1,
        exact=True,
        as_of_ms=1,
        text="hello",
    )
    await apply(store, reduce([one]))
    return store


async def count(store: Database, table: str) -> int:
    async with store.connection() as connection:
        found: int = await connection.fetchval(f"select count(*) from {table}")
        return found


async def test_a_person_is_erased_and_what_went_is_told(run: Command, told: Database) -> None:
    (erased,) = (await run("erase", PERSON, "--yes", "--json")).json
    assert (erased["page_id"], erased["rows"]["messages"]) == (PAGE, 1)
    assert await count(told, "messages") == await count(told, "conversations") == 0
    assert (await run("erase", PERSON, "--yes")).status == 0


async def test_nothing_is_erased_without_a_yes(run: Command, told: Database) -> None:
    ended = await run("erase", PERSON)
    assert (ended.status, "--yes" in ended.err) == (2, True)
    assert await count(told, "messages") == 1


async def test_who_is_not_known_is_erased_only_at_a_page_that_is_named(
    run: Command, told: Database
) -> None:
    ended = await run("erase", "999999", "--yes")
    assert (ended.status, "--page" in ended.err) == (1, True)
    assert (await run("erase", "999999", "--page", PAGE, "--yes")).status == 0
    assert (await run("erase", PAGE, "--page", PAGE, "--yes")).status == 1
    assert await count(told, "erased") == 1


async def test_a_request_that_was_unresolved_is_answered(run: Command, told: Database) -> None:
    code = "0123456789abcdef01234567"
    unknown = await run("erase", PERSON, "--yes", "--request", code)
    assert (unknown.status, await count(told, "messages")) == (1, 1)
    async with told.connection() as connection:
        await connection.execute(
            "insert into privacy_requests values ($1, 'data_deletion', '1', 'unresolved', now())",
            code,
        )
    assert (await run("erase", PERSON, "--yes", "--request", code)).status == 0
    async with told.connection() as connection:
        assert await connection.fetchval("select status from privacy_requests") == "erased"


async def test_without_redis_it_says_what_may_still_be_seen(
    run: Command, told: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHE_REDIS_URL", "redis://127.0.0.1:1")
    ended = await run("erase", PERSON, "--yes")
    assert (ended.status, "CACHE_TTL" in ended.err) == (1, True)
    assert await count(told, "messages") == 0


async def test_a_replay_is_asked_of_the_workers(
    run: Command, told: Database, redis_url: str
) -> None:
    asked = await run("replay", "--since", "2h", "--page", PAGE, "--json")
    assert asked.status == 0
    async with Redis.from_url(redis_url) as client:
        assert await client.zcard(LATER) == 1
        (job,) = queue.decode(await client.get(f"arq:job:{asked.json['job']}"))["a"]
    assert (job.name, job.page) == ("replay", PAGE)


async def test_a_replay_of_no_time_or_of_no_page_is_refused(run: Command, told: Database) -> None:
    assert (await run("replay", "--since", "yesterday")).status == 2
    assert (await run("replay", "--since", "99999999999d")).status == 2
    assert (await run("replay", "--since", "2h", "--page", "7")).status == 1
