"""A Page becomes complete, whatever happens to it and to the worker meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.simulator import Config, Simulator
from deploy.simulator.updates import Update
from tests.stack import SECRET, Stack, running

CONVERSATIONS, MESSAGES = 1000, 40


@pytest.fixture
async def facebook() -> AsyncIterator[Simulator]:
    simulated = Config(
        pages=1, conversations=CONVERSATIONS, messages=MESSAGES, instagram=0,
        app_id="1517776481860111", app_secret=SECRET,
    )  # fmt: skip
    async with Simulator(simulated) as sim:
        yield sim


@pytest.fixture
async def stack(
    database: str, redis_url: str, tmp_path: Path, facebook: Simulator
) -> AsyncIterator[Stack]:
    async with running(Stack(database, redis_url, tmp_path, graph=facebook.url)) as started:
        yield started


async def test_a_page_of_a_thousand_conversations_is_complete_after_changes_and_crashes(
    stack: Stack, facebook: Simulator
) -> None:
    (page,) = facebook.truth.pages.values()
    token = facebook.tokens.of_page[page.id]
    await stack.command("page", "add", page.id, "--name", "Acme", PAGE_ACCESS_TOKEN=token)
    full = asyncio.create_task(stack.command("sync", page.id, "--full", "--wait"))

    async def half_walked() -> bool:
        return len(facebook.calls.list(path="/conversations$")) >= 5

    await stack.until(half_walked)
    unseen = unannounced(facebook, page.id)
    stack.worker.kill()
    stack.worker.start()
    done = await full
    assert done["status"] == "complete", done
    unseen += unannounced(facebook, page.id)
    await stack.command("sync", page.id, "--wait")
    stored = {mid for (mid,) in await stack.rows("select mid from messages")}
    assert {update.mid for update in unseen} <= stored

    async def history_is_complete() -> bool:
        sql = "select count(*) from conversations where not history_complete"
        return await stack.rows(sql) == [(0,)]

    await stack.until(history_is_complete, seconds=100)
    assert await told(stack) == truth(facebook)


def unannounced(facebook: Simulator, page: str) -> list[Update]:
    """Ten conversations change, and no webhook tells us."""
    updates = facebook.happen(page, "message", conversations=10, webhook=False)
    assert len(updates) == 10
    return updates


async def told(stack: Stack) -> set[tuple[str, str, str, str | None]]:
    rows = await stack.rows(
        "select mid, participant_id, direction, text from messages where deleted_ms is null"
    )
    return set(rows)


def truth(facebook: Simulator) -> set[tuple[str, str, str, str | None]]:
    return {
        (
            message.mid,
            message.conversation.person.id,
            "in" if message.inbound else "out",
            message.text or None,
        )
        for message in facebook.truth.messages.values()
        if message.deleted_ms is None
    }
