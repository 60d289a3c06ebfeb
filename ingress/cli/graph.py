"""Graph as a command asks it: one question at a time, a refusal in words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ingress.cli.problem import Problem
from shared import log
from shared.config import Secret, Settings
from shared.crypto import CannotDecrypt, KeyRing
from shared.errors import Unavailable
from shared.facebook.graph.client import Client
from shared.facebook.graph.client import connected as connected_client
from shared.facebook.graph.errors import judge
from shared.facebook.graph.replies import Reply
from shared.facebook.graph.requests import Request
from shared.store import pages
from shared.store.database import Database
from shared.store.pages import Page

WANTS = ("facebook_app_id", "facebook_app_secrets")
"""The settings without which Graph cannot be asked."""


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Client]:
    """Lend a client for Graph."""
    log.configure("warning", settings.log_format)
    async with connected_client(
        url=settings.graph_api_url,
        version=settings.graph_api_version,
        app_id=settings.facebook_app_id,
        app_secret=settings.facebook_app_secrets[0],
    ) as client:
        yield client


async def ask(client: Client, request: Request, token: Secret) -> Reply:
    """Ask a question; raises Problem with Facebook's reason when it does not answer well."""
    try:
        reply = await client.send(request, token)
    except Unavailable as error:
        todo = "See that GRAPH_API_URL is right and can be reached: `pagewire config`."
        raise Problem(str(error), todo=todo) from error
    verdict = judge(request, reply.status, reply.body)
    if verdict is not None:
        raise Problem("Facebook refuses.", f"{verdict.reason} (error {verdict.code})")
    return reply


async def token_of(database: Database, keys: KeyRing, page: Page) -> Secret:
    """Return a Page's token; raises Problem where there is none that can be opened."""
    sealed = await pages.token(database, page.id)
    if sealed is None:
        raise Problem(f"{page.name} has no token.", todo="Give it one: `pagewire page add`.")
    try:
        return keys.decrypt(sealed, page.facebook_page_id)
    except CannotDecrypt as error:
        raise Problem(
            f"The token of {page.name} cannot be opened.",
            str(error),
            "Or give the Page its token again: `pagewire page add`.",
        ) from error
