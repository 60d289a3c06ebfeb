"""Webhooks are lost, and for an hour nobody answers them: Facebook unsubscribes us."""

from functools import partial
from typing import Any

from msgspec import Struct

from deploy.simulator import Config, Simulator
from shared.facebook.graph.requests import WANTED_FIELDS
from tests.stack import SECRET, Stack

CONFIG = Config(
    pages=1, conversations=60, messages=8, instagram=0,
    app_id="1517776481860111", app_secret=SECRET, clock_speed=1200,
)  # fmt: skip
"""A Facebook whose hour of retries takes three seconds."""

SETTINGS = {"SYNC_INTERVAL": "6h"}
"""The scheduled walks are far apart: what is stored came by webhook, or by the repair."""

_WALKED = "exists (select from sync_points where walked_at is not null and folder = 'inbox')"
_SEEN = "exists (select from sync_points where folder = 'subscription')"
_REPAIRED = "exists (select from sync_runs where mode = 'repair' and status = 'complete')"

Message = tuple[str, str, str, str | None]


class Lost(Struct, frozen=True, kw_only=True):
    """What we did not have: for want of 5 % of the webhooks, and after the hour as well."""

    dropped: int
    after_the_hour: int
    alert: str
    subscribed_again: bool


async def lose(stack: Stack, facebook: Simulator) -> Lost:
    """Add the Page to a running stack, lose webhooks and the subscription; return when repaired."""
    facebook.webhooks.subscriptions.point_to(stack.url + "/api/webhook")
    (page,) = facebook.truth.pages.values()
    token = facebook.tokens.of_page[page.id]
    await stack.command("page", "add", page.id, "--name", "Acme", PAGE_ACCESS_TOKEN=token)
    for condition in (_WALKED, _SEEN):
        await stack.until(partial(_holds, stack, condition))

    facebook.modes.drop = 0.05
    facebook.happen(page.id, "message", conversations=50, count=4)
    facebook.happen(page.id, "echo", conversations=50, count=2)
    await facebook.webhooks.settle()
    await stack.until(stack.drained)
    dropped = truth(facebook) - await told(stack)

    stack.ingress.kill()
    facebook.happen(page.id, "message", conversations=20, count=2)

    async def unsubscribed() -> bool:
        return not page.subscribed_fields

    await stack.until(unsubscribed)
    facebook.happen(page.id, "message", conversations=30, count=2)
    alert = facebook.webhooks.alerts[-1].kind
    stack.ingress.start()
    await stack.until(stack.answers)
    missing = truth(facebook) - await told(stack)
    # An hour passed for Facebook; it passes for the watch too.
    await stack.rows(
        "update sync_points set synced_to = synced_to - interval '1 hour'"
        " where folder = 'subscription' returning 1"
    )
    await stack.until(partial(_holds, stack, _REPAIRED))
    return Lost(
        dropped=len(dropped),
        after_the_hour=len(missing),
        alert=alert,
        subscribed_again=page.subscribed_fields.issuperset(WANTED_FIELDS),
    )


async def prove(stack: Stack, facebook: Simulator) -> Any:
    """Return what `pagewire verify --deep` says of the Page, once webhooks come again."""
    (page,) = facebook.truth.pages
    facebook.modes.drop = 0
    facebook.happen(page, "message", conversations=5)
    await facebook.webhooks.settle()
    await stack.until(stack.drained)
    # What is younger than a minute is not judged: let Facebook's clock run ahead.
    facebook.clock.skew += 120
    (proof,) = await stack.command("verify", page, "--deep")
    return proof


async def told(stack: Stack) -> set[Message]:
    """Return the messages that are stored."""
    rows = await stack.rows(
        "select mid, participant_id, direction, text from messages where deleted_ms is null"
    )
    return set(rows)


def truth(facebook: Simulator) -> set[Message]:
    """Return the messages there are."""
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


async def _holds(stack: Stack, condition: str) -> bool:
    return await stack.rows(f"select {condition}") == [(True,)]
