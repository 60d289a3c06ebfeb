"""A worker killed in the middle loses nothing and doubles nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.stack import Stack, running

PAGE = "102938475610293"


@pytest.fixture
async def stack(database: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    async with running(Stack(database, redis_url, tmp_path)) as started:
        yield started


def body(number: int) -> bytes:
    """Two items: a message, and a read that covers it."""
    at = 1_764_000_000_000 + number
    parties = {"sender": {"id": str(number % 7)}, "recipient": {"id": PAGE}, "timestamp": at}
    items = [
        parties | {"message": {"mid": f"m_{number:05}", "text": f"text {number}"}},
        parties | {"read": {"watermark": at}},
    ]
    entries = [{"id": PAGE, "time": at, "messaging": [item]} for item in items]
    return json.dumps({"object": "page", "entry": entries}).encode()


async def test_a_worker_killed_again_and_again_applies_everything_once(stack: Stack) -> None:
    await stack.command("page", "add", PAGE, "--name", "Acme")
    numbers = iter(range(600))

    async def send() -> None:
        for number in numbers:
            assert await stack.post(body(number)) == 200

    sending = asyncio.gather(*(send() for _ in range(4)))
    for kill in range(1, 5):

        async def some_applied(wanted: int = kill * 60) -> bool:
            [(count,)] = await stack.rows("select count(*) from messages")
            return count >= wanted

        await stack.until(some_applied)
        stack.worker.kill()
        stack.worker.start()
    await sending
    await stack.until(stack.drained)
    # An entry that saw three of the kills is written item by item, and the item in hand at the
    # third is set aside: kept, and brought back by whoever looks after it.
    await stack.command("dead", "retry", "--all")

    async def nothing_aside() -> bool:
        open_ = await stack.rows("select count(*) from dead_letters where resolved_at is null")
        return open_ == [(0,)] and await stack.drained()

    await stack.until(nothing_aside)
    found = await stack.rows("select mid, text from messages order by mid")
    assert found == [(f"m_{n:05}", f"text {n}") for n in range(600)]
    assert await stack.rows("select count(*) from raw_events") == [(1200,)]
    last = await stack.rows(
        "select participant_id, last_mid, read_watermark_ms from conversations order by 1"
    )
    assert last == [(str(p), f"m_{_last(p):05}", 1_764_000_000_000 + _last(p)) for p in range(7)]


def _last(person: int) -> int:
    return max(n for n in range(600) if n % 7 == person)


async def test_entries_of_a_worker_that_never_returns_are_applied_by_another(
    stack: Stack,
) -> None:
    await stack.command("page", "add", PAGE, "--name", "Acme")
    # Stopped, not ended: it holds what it has read and its slot, as a machine that went away does.
    async with asyncio.timeout(60):
        while not await held(stack):
            for number in range(50):
                assert await stack.post(body(number)) == 200
    other = stack.process("other", "worker")
    other.start()
    try:
        await stack.until(stack.drained)
    finally:
        stack.worker.kill()
        other.stop()
    assert len(await stack.rows("select 1 from messages")) == 50


async def held(stack: Stack) -> bool:
    """Freeze the worker in a moment in which it has entries of its own; else let it go on."""
    import signal

    stack.worker.signal(signal.SIGSTOP)
    if not await stack.drained():
        return True
    stack.worker.signal(signal.SIGCONT)
    return False
