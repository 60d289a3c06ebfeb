"""Facebook: whether it knows the app, and whether its webhooks would find the ingress."""

import secrets
import time
from collections.abc import AsyncIterator

import aiohttp

from ingress.cli import graph
from ingress.cli.checks.finding import Finding
from ingress.cli.problem import Problem as Refused
from shared.config import Settings
from shared.errors import PagewireError
from shared.facebook.graph import details, requests
from shared.facebook.graph.client import Client


async def app(
    settings: Settings, client: Client, clocks: dict[str, float]
) -> AsyncIterator[Finding]:
    """Look at the app, and whether its webhooks find the ingress."""
    try:
        reply = await graph.ask(client, requests.callbacks(client.app_id), client.app_token)
    except PagewireError as error:
        text = error.why if isinstance(error, Refused) else str(error)
        fix = "See that FACEBOOK_APP_ID, FACEBOOK_APP_SECRET and GRAPH_API_URL are right."
        yield Finding(subject="Facebook", ok=False, text=text, fix=fix)
        return
    clocks["Facebook"] = reply.date_ms / 1000 - time.time()
    yield Finding(subject="Facebook", ok=True, text=f"knows the app {client.app_id}")
    callbacks = details.callbacks(reply)
    if "page" not in callbacks:
        yield Finding(
            subject="Webhook",
            ok=False,
            text="the app sends Pages' webhooks nowhere",
            fix="Enter the ingress' address in the app's dashboard: Webhooks, Page.",
        )
    for url in sorted(set(callbacks.values())):
        yield await _webhook(settings, url)


async def _webhook(settings: Settings, url: str) -> Finding:
    """Ask the address that Facebook was given as Facebook asks it."""
    challenge = secrets.token_hex(8)
    asked = requests.consent(url, settings.webhook_verify_token.reveal(), challenge)
    fix = ""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.get(asked, allow_redirects=False) as response,
        ):
            agreed = response.status == 200 and await response.text() == challenge
            text = "agrees" if agreed else f"does not agree: HTTP {response.status}"
            fix = "" if agreed else "The ingress there must run with this WEBHOOK_VERIFY_TOKEN."
    except (aiohttp.ClientError, OSError, ValueError) as error:
        text = f"does not answer: {type(error).__name__}"
        fix = "See that this address leads to the ingress."
    return Finding(subject="Webhook", ok=not fix, text=f"{url} {text}", fix=fix)
