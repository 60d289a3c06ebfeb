"""A Page becomes complete, whatever happens to it and to the worker meanwhile."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.simulator import Config, Simulator
from deploy.simulator.updates import Update
from tests.acceptance import losing
from tests.acceptance.losing import told, truth
from tests.stack import SECRET, Stack, running

# A thousand take minutes on two busy cores: PAGEWIRE_CONVERSATIONS=1000.
CONVERSATIONS = int(os.environ.get("PAGEWIRE_CONVERSATIONS", "200"))
MESSAGES = 40


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


@pytest.mark.timeout(600)
async def test_a_page_is_complete_after_changes_and_crashes(
    stack: Stack, facebook: Simulator
) -> None:
    (page,) = facebook.truth.pages.values()
    token = facebook.tokens.of_page[page.id]
    await stack.command("page", "add", page.id, "--name", "Acme", PAGE_ACCESS_TOKEN=token)
    full = asyncio.create_task(stack.command("sync", page.id, "--full", "--wait"))

    async def half_walked() -> bool:
        return len(facebook.calls.list(path="/conversations$")) >= CONVERSATIONS // 200

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

    await stack.until(history_is_complete, seconds=400)
    assert await told(stack) == truth(facebook)


async def test_lost_webhooks_and_an_hour_unsubscribed_are_repaired_and_proven(
    database: str, redis_url: str, tmp_path: Path
) -> None:
    async with (
        Simulator(losing.CONFIG) as facebook,
        running(
            Stack(database, redis_url, tmp_path, graph=facebook.url, **losing.SETTINGS)
        ) as stack,
    ):
        lost = await losing.lose(stack, facebook)
        assert 0 < lost.dropped < 45
        assert lost.after_the_hour >= lost.dropped + 90
        assert (lost.alert, lost.subscribed_again) == ("webhooks_disabled", True)
        proof = await losing.prove(stack, facebook)
        assert (proof["status"], proof["missing"]) == ("complete", [])
        assert await stack.rows("select proven_level from facebook_pages") == [("deep",)]
        assert await told(stack) == truth(facebook)


def unannounced(facebook: Simulator, page: str) -> list[Update]:
    """Ten conversations change, and no webhook tells us."""
    updates = facebook.happen(page, "message", conversations=10, webhook=False)
    assert len(updates) == 10
    return updates
