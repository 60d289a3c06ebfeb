"""`pagewire dead`: a person sees what was given up, and decides."""

import base64

import pytest
from redis.asyncio import Redis

from shared import queue
from shared.queue import RetryDead
from shared.store import applying
from shared.store.database import Database
from shared.store.rows import DeadLetter
from tests.integration.cli.called import Command

pytestmark = pytest.mark.usefixtures("configured")


async def keep(store: Database, content: bytes, reason: str, page_id: str | None = "1") -> None:
    letter = DeadLetter(
        source="webhook",
        reason=reason,
        error="why",
        object="page",
        page_id=page_id,
        bytes=content,
        received_ms=1_700_000_000_000,
    )
    async with store.transaction() as connection:
        await applying.insert_dead_letters(connection, [letter])


@pytest.fixture
async def letters(store: Database) -> list[bytes]:
    kept = [b'{"a":"\x1b[2J"}', b"\xff\x00", b"third"]
    for content, reason, page_id in zip(
        kept, ("refused", "unreadable", "unreadable"), ("1", "2", None), strict=True
    ):
        await keep(store, content, reason, page_id)
    return kept


async def test_letters_are_counted_by_reason_and_listed(run: Command, letters: list[bytes]) -> None:
    listed = (await run("dead", "list", "--json")).json
    assert {group["reason"]: group["count"] for group in listed["groups"]} == {
        "refused": 1,
        "unreadable": 2,
    }
    assert [letter["reason"] for letter in listed["letters"]] == [
        "unreadable",
        "unreadable",
        "refused",
    ]
    of_page = (await run("dead", "list", "--page", "2", "--json")).json
    assert [letter["page_id"] for letter in of_page["letters"]] == ["2"]
    shown = (await run("dead", "list", "--limit", "1")).out.splitlines()
    assert len(shown) == 1 + 2 + 1 + 1 + 1  # groups under their names, a gap, one letter


async def test_without_letters_stdout_is_empty(run: Command) -> None:
    assert (await run("dead", "list")).out == ""


async def test_a_letter_is_shown_so_that_it_harms_no_terminal(
    run: Command, letters: list[bytes]
) -> None:
    for letter, content in ((1, letters[0]), (2, letters[1])):
        shown = await run("dead", "show", str(letter))
        assert not {"\x1b", "\x00"} & set(shown.out)
        as_json = (await run("dead", "show", str(letter), "--json")).json
        assert base64.b64decode(as_json["bytes"]) == content


async def test_a_letters_bytes_come_out_as_they_came_in(
    spawn: Command, letters: list[bytes]
) -> None:
    shown = await spawn("dead", "show", "1", "--raw")
    assert shown.out.encode() == letters[0]


async def test_letters_are_discarded_by_id_reason_or_page(
    run: Command, letters: list[bytes]
) -> None:
    assert (await run("dead", "discard", "1", "--json")).json == {"discarded": 1}
    assert (await run("dead", "discard", "--page", "2", "--json")).json == {"discarded": 1}
    assert (await run("dead", "discard", "--reason", "unreadable")).out == "Discarded 1\n"
    assert (await run("dead", "discard", "--all")).out == "Discarded 0\n"


async def test_nothing_is_discarded_by_saying_nothing(run: Command, letters: list[bytes]) -> None:
    ended = await run("dead", "discard")
    assert (ended.status, "--all" in ended.err) == (2, True)
    assert len((await run("dead", "list", "--json")).json["letters"]) == 3


async def test_a_letter_that_is_not_there_is_named(run: Command) -> None:
    ended = await run("dead", "show", "7")
    assert (ended.status, ended.err) == (1, "error: There is no dead letter 7.\n")


async def test_a_retry_is_asked_of_the_workers(
    run: Command, letters: list[bytes], redis_url: str
) -> None:
    asked = await run("dead", "retry", "1", "2", "--reason", "refused", "--json")
    assert asked.status == 0
    async with Redis.from_url(redis_url) as client:
        sent = await client.get(f"arq:job:{asked.json['job']}")
    assert queue.decode(sent)["a"] == [RetryDead(ids=[1, 2], reason="refused")]


async def test_a_retry_of_nothing_or_of_no_letter_is_refused(
    run: Command, letters: list[bytes]
) -> None:
    assert (await run("dead", "retry")).status == 2
    ended = await run("dead", "retry", "1", "99")
    assert (ended.status, ended.out) == (1, "")
    assert "no dead letter 99" in ended.err
