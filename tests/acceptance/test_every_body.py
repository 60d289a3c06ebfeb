"""Every body Facebook is known to send, posted signed to a running stack: nothing is missing."""

import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.acceptance.ledger import Expected, expected, pages_of
from tests.stack import Stack, payload_files, running

TABLES = ("messages", "reactions", "conversations", "tags", "conversation_tags", "events")


@pytest.fixture
async def stack(database: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    async with running(Stack(database, redis_url, tmp_path)) as started:
        yield started


@pytest.fixture
def bodies() -> dict[str, bytes]:
    found = {
        f"{path.parent.name}/{path.name}": path.read_bytes()
        for path in payload_files("meta-docs", "restfb")
    }
    if not found:
        pytest.skip("no bodies beside the checkout: ../shared/payloads is absent")
    return found


async def add_pages(stack: Stack, bodies: dict[str, bytes]) -> None:
    """Register the Pages and Instagram accounts the bodies speak of."""
    pages = {found for body in bodies.values() for found in pages_of(body)}
    for kind, page in sorted(pages - {("page", "0"), ("user", "0")}):
        if kind == "instagram":
            await stack.command("page", "add", f"9{page}", "--name", "P", "--instagram", page)
        elif kind == "page":
            await stack.command("page", "add", page, "--name", "P")


async def test_every_item_is_accounted_for(
    stack: Stack, bodies: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    await add_pages(stack, bodies)
    for body in bodies.values():
        assert await stack.post(body) == 200
    await stack.until(stack.drained)
    items = [(name, item) for name, body in bodies.items() for item in expected(body)]
    missing = [(name, item) for name, item in items if not await found(stack, item)]
    assert missing == []
    letters = Counter(
        dict(await stack.rows("select reason, count(*) from dead_letters group by 1"))
    )
    assert letters.keys() <= {"unknown_object", "empty_entry"}
    understood = await stack.rows("select count(*) from events where not understood")
    assert understood == [(0,)]
    with capsys.disabled():
        words = Counter(item.word for _, item in items)
        print(f"\n{len(bodies)} bodies, {len(items)} items:", dict(words))


async def found(stack: Stack, item: Expected) -> bool:
    """Whether an item stands where it should."""
    match item.word:
        case "message":
            sql = "select 1 from messages where page_id = $1 and ($2::text is null or mid = $2)"
            return bool(await stack.rows(sql, item.page, item.key))
        case "reaction":
            sql = "select 1 from reactions where page_id = $1 and mid = $2"
            return bool(await stack.rows(sql, item.page, item.key))
        case "watermark":
            sql = (
                "select 1 from conversations where page_id = $1 and (read_event_ms is not null"
                " or delivered_watermark_ms is not null) union all"
                " select 1 from messages where page_id = $1 and read_ms is not null"
            )
            return bool(await stack.rows(sql, item.page))
        case "label":
            return bool(
                await stack.rows("select 1 from conversation_tags where page_id = $1", item.page)
            )
        case "event":
            return bool(await stack.rows("select 1 from events where page_id = $1", item.page))
        case reason:
            return bool(await stack.rows("select 1 from dead_letters where reason = $1", reason))


async def dump(stack: Stack) -> dict[str, list[tuple[str]]]:
    return {
        table: await stack.rows(f"select t::text from {table} t order by 1") for table in TABLES
    }


async def test_shuffled_doubled_and_split_bodies_give_the_same_rows(
    stack: Stack, bodies: dict[str, bytes]
) -> None:
    await add_pages(stack, bodies)
    for body in bodies.values():
        await stack.post(body)
    await stack.until(stack.drained)
    straight = await dump(stack)
    await stack.rows(f"truncate {', '.join(TABLES)}, raw_events, dead_letters, changes")
    dice = random.Random(7)
    again = rebatched(list(bodies.values()) * 2, dice)
    dice.shuffle(again)
    for body in again:
        assert await stack.post(body) == 200
    await stack.until(stack.drained)
    assert await dump(stack) == straight


def rebatched(bodies: list[bytes], dice: random.Random) -> list[bytes]:
    """The same items in other bodies: some split one by one, some put together by object."""
    together: dict[str, list] = {}
    again = []
    for body in bodies:
        told = json.loads(body)
        if dice.random() < 0.5:
            together.setdefault(told["object"], []).extend(told["entry"])
        else:
            again += [_body(told["object"], [entry]) for entry in told["entry"]]
    for kind, entries in together.items():
        dice.shuffle(entries)
        while entries:
            size = dice.randrange(1, 40)
            again.append(_body(kind, entries[:size]))
            del entries[:size]
    return again


def _body(kind: str, entries: list) -> bytes:
    return json.dumps({"object": kind, "entry": entries}, separators=(",", ":")).encode()
