"""Every Page: its token, its webhooks, and whether it is as alive as usual."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from ingress.cli import graph
from ingress.cli.checks.finding import Finding, Problem, ago, judged, span
from ingress.cli.problem import Problem as Refused
from shared.config import Secret, Settings
from shared.crypto import KeyRing
from shared.errors import PagewireError, Unavailable
from shared.facebook.graph import details, requests
from shared.facebook.graph.client import Client
from shared.facebook.graph.details import TokenInfo
from shared.store import health, pages
from shared.store.database import Database
from shared.store.pages import Page

EXPIRY_NOTICE = timedelta(days=7)
AT_ONCE = 8
"""Pages asked about at a time."""

_RENEW = "Add it again with a new token."


async def every_page(
    settings: Settings, database: Database, client: Client
) -> AsyncIterator[Finding]:
    """Look at all Pages that are meant to be synced, a few at a time."""
    if not settings.token_encryption_keys:
        return
    keys = KeyRing(settings.token_encryption_keys)
    room = asyncio.Semaphore(AT_ONCE)

    async def examined(page: Page) -> Finding:
        async with room:
            return await _page(settings, database, client, keys, page)

    try:
        found = await pages.listing(database)
    except Unavailable:
        return  # Postgres' own line has told why
    wanted = [page for page in found if page.status in {"active", "parked"}]
    for finding in await asyncio.gather(*map(examined, wanted)):
        yield finding
    if not wanted:
        yield Finding(subject="Pages", ok=False, text="there is none", fix="pagewire page add")


async def _page(
    settings: Settings, database: Database, client: Client, keys: KeyRing, page: Page
) -> Finding:
    problems, notes = [], []
    rhythm = await health.rhythm(database, page.entry_ids)
    if page.status == "parked":
        problems.append((page.status_reason or "parked", _RENEW))
    try:
        token = await graph.token_of(database, keys, page)
        reply = await graph.ask(client, requests.debug_token(token.reveal()), client.app_token)
        problems += _token_problems(page, details.token_info(reply), client.app_id)
        asked = requests.subscribed_apps(page.facebook_page_id)
        has = details.subscribed_fields(await graph.ask(client, asked, token), client.app_id)
        if missing := sorted(set(requests.WANTED_FIELDS) - has):
            told = "no webhooks" if not has else f"no webhooks of {', '.join(missing)}"
            problems.append((told, f"pagewire page subscribe {page.facebook_page_id}"))
        if rhythm.person and (owner := await _other_owner(client, page, rhythm.person, token)):
            notes.append(f"the app {owner} answers people, messages come as standby")
    except Refused as problem:
        problems.append((problem.why, problem.todo or _RENEW))
    except PagewireError as error:
        problems.append((str(error), ""))
    now = datetime.now(UTC)
    problems += _silence(page, rhythm, now) + _staleness(settings, page, now)
    notes.append(f"last event {ago(rhythm.last_at, now)}")
    notes.append(f"last synced {ago(page.last_synced_at, now)}")
    return judged(f"Page {page.name}", ", ".join(notes), problems)


async def _other_owner(client: Client, page: Page, person: str, token: Secret) -> str | None:
    """Return the other app that answers people there, if Facebook tells of one.

    What they write then comes as `standby`, a field that every Page is subscribed to.
    """
    asked = requests.thread_owner(page.facebook_page_id, person)
    try:
        owner = details.thread_owner(await graph.ask(client, asked, token))
    except PagewireError:
        return None  # where no apps share the Page there is nobody to tell of
    return None if owner == client.app_id else owner


def _token_problems(page: Page, token: TokenInfo, app_id: str) -> list[Problem]:
    if not token.valid:
        return [("its token is not valid any more", _RENEW)]
    if token.app_id != app_id:
        return [(f"its token is of the app {token.app_id}", _RENEW)]
    problems = []
    wanted = requests.PAGE_SCOPES | (requests.INSTAGRAM_SCOPES if page.instagram_id else set())
    if missing := sorted(wanted - set(token.scopes)):
        problems.append((f"its token lacks {', '.join(missing)}", _RENEW))
    left = timedelta(seconds=token.expires_at - time.time())
    if token.expires_at and left < EXPIRY_NOTICE:
        problems.append((f"its token expires in {span(left)}", _RENEW))
    return problems


def _silence(page: Page, rhythm: health.Rhythm, now: datetime) -> list[Problem]:
    if rhythm.last_at is None or rhythm.longest_pause is None:
        return []
    silence = now - rhythm.last_at
    if silence < max(3 * rhythm.longest_pause, timedelta(hours=1)):
        return []
    usual = span(rhythm.longest_pause)
    return [
        (f"silent for {span(silence)}, never for more than {usual} before",
         f"pagewire sync {page.facebook_page_id} --wait"),
    ]  # fmt: skip


def _staleness(settings: Settings, page: Page, now: datetime) -> list[Problem]:
    every = settings.sync_interval
    if not every or page.last_synced_at is None or now - page.last_synced_at < 3 * every:
        return []
    return [(f"not synced for {span(now - page.last_synced_at)}", "Does a worker run?")]
