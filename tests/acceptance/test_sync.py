"""A Page becomes complete, whatever happens to it and to the worker meanwhile."""

import asyncio
import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from deploy.simulator import Config, Simulator
from deploy.simulator.updates import Update
from shared.facebook.requests import WANTED_FIELDS
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


@pytest.fixture
async def deaf() -> AsyncIterator[Simulator]:
    """A Facebook that loses one webhook in twenty, and whose hour of retries takes three seconds.

    It unsubscribes an app that did not answer for an hour.
    """
    simulated = Config(
        pages=1, conversations=60, messages=8, instagram=0,
        app_id="1517776481860111", app_secret=SECRET, clock_speed=1200,
    )  # fmt: skip
    async with Simulator(simulated) as sim:
        yield sim


async def test_lost_webhooks_and_an_hour_unsubscribed_are_repaired_and_proven(
    deaf: Simulator, database: str, redis_url: str, tmp_path: Path
) -> None:
    # The scheduled walks are far apart: what is stored came by webhook, or by the repair.
    stack = Stack(database, redis_url, tmp_path, graph=deaf.url, SYNC_INTERVAL="6h")
    deaf.webhooks.subscriptions.point_to(stack.url + "/api/webhook")
    (page,) = deaf.truth.pages.values()
    async with running(stack):
        token = deaf.tokens.of_page[page.id]
        await stack.command("page", "add", page.id, "--name", "Acme", PAGE_ACCESS_TOKEN=token)
        await stack.until(
            partial(
                holds,
                stack,
                "exists (select from sync_points where walked_at is not null and folder = 'inbox')",
            )
        )
        await stack.until(partial(holds, stack, SUBSCRIPTION_SEEN))

        deaf.modes.drop = 0.05
        deaf.happen(page.id, "message", conversations=50, count=4)
        deaf.happen(page.id, "echo", conversations=50, count=2)
        await deaf.webhooks.settle()
        await stack.until(stack.drained)
        dropped = truth(deaf) - await told(stack)
        assert 0 < len(dropped) < 45

        stack.ingress.kill()
        deaf.happen(page.id, "message", conversations=20, count=2)

        async def unsubscribed() -> bool:
            return not page.subscribed_fields

        await stack.until(unsubscribed)
        deaf.happen(page.id, "message", conversations=30, count=2)
        assert deaf.webhooks.alerts[-1].kind == "webhooks_disabled"
        stack.ingress.start()
        await stack.until(stack.answers)
        assert len(truth(deaf) - await told(stack)) >= len(dropped) + 90
        # An hour passed for Facebook; it passes for the watch too.
        await stack.rows(
            "update sync_points set synced_to = synced_to - interval '1 hour'"
            " where folder = 'subscription' returning 1"
        )

        await stack.until(partial(holds, stack, REPAIRED))
        assert page.subscribed_fields.issuperset(WANTED_FIELDS)
        deaf.modes.drop = 0
        deaf.happen(page.id, "message", conversations=5)
        await deaf.webhooks.settle()
        await stack.until(stack.drained)

        # What is younger than a minute is not judged: let Facebook's clock run ahead.
        deaf.clock.skew += 120
        (proof,) = await stack.command("verify", page.id, "--deep")
        assert (proof["status"], proof["missing"]) == ("complete", [])
        assert await stack.rows("select proven_level from facebook_pages") == [("deep",)]
        assert await told(stack) == truth(deaf)


SUBSCRIPTION_SEEN = "exists (select from sync_points where folder = 'subscription')"
REPAIRED = "exists (select from sync_runs where mode = 'repair' and status = 'complete')"


async def holds(stack: Stack, condition: str) -> bool:
    return await stack.rows(f"select {condition}") == [(True,)]


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
