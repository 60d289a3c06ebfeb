"""`pagewire page …`: which Pages there are, and what may be done with them."""

import asyncio
import re
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from msgspec.structs import asdict

from ingress.cli import configuration, postgres, show, tokens
from ingress.cli.importing import import_
from ingress.cli.problem import INSTEAD
from ingress.cli.subscribing import subscribe
from ingress.cli.which import ThisPage
from shared.config import Secret
from shared.store import pages
from shared.store.pages import Page

app = App(name="page", help="Add, list, stop and remove Pages.")
app.command(import_, name="import")
app.command(subscribe)


def _is_facebook_id(_: object, value: str | None) -> None:
    # Facebook's ids are digits today; what it calls an id tomorrow is its own affair.
    if value is not None and not re.fullmatch(r"[0-9A-Za-z_][0-9A-Za-z_.: -]{0,63}", value):
        raise ValueError("An id is at most 64 letters, digits and . : - _ (a token is no id).")


@app.command
def add(
    facebook_page_id: Annotated[
        str, Parameter(help="Facebook's id of the Page.", validator=_is_facebook_id)
    ],
    /,
    *,
    name: Annotated[str, Parameter(help="What to call it.")],
    instagram: Annotated[
        str | None,
        Parameter(
            help="Id of the linked Instagram account; the first sync finds it otherwise.",
            validator=_is_facebook_id,
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        Parameter(
            help="File that holds the Page's token, - for standard input;"
            " PAGE_ACCESS_TOKEN counts otherwise.",
            allow_leading_hyphen=True,
        ),
    ] = None,
    as_json: show.AsJson = False,
) -> None:
    """Add a Page, or give a known one a new name and token and let it go on.

    Facebook is not asked. Webhooks that came before are applied now, and the first sync starts.

    For example:

        pagewire page add 1023456789 --name "Corner shop" --token-file token.txt
    """
    # Read before there is an event loop: within one, Ctrl-C would wait for the input's end.
    token = tokens.given(token_file)
    asyncio.run(_add(facebook_page_id, name, instagram, token, as_json=as_json))


async def _add(
    facebook_page_id: str, name: str, instagram: str | None, token: Secret | None, *, as_json: bool
) -> None:
    from ingress.cli import jobs

    settings = configuration.settings("database_url", *(["token_encryption_keys"] if token else []))
    sealed = None
    if token:
        from shared.crypto import KeyRing

        sealed = KeyRing(settings.token_encryption_keys).encrypt(token, facebook_page_id)
    async with postgres.connected(settings) as database:
        page = await pages.add(
            database,
            facebook_page_id=facebook_page_id,
            name=name,
            instagram_id=instagram,
            token=sealed,
        )
        can_sync = await pages.token(database, page.id) is not None
    if not can_sync:
        show.note(f"There is no token: webhooks are kept, nothing is synced. {INSTEAD}")
    await jobs.follow(settings, [page], sync=can_sync)
    if as_json:
        show.json(page)
    else:
        print(f"Added {show.printable(page.name)} ({page.facebook_page_id}) as {page.id}")


@app.command(name="list")
async def list_(*, as_json: show.AsJson = False) -> None:
    """List all Pages, removed ones too.

    For example:

        pagewire page list
    """
    async with postgres.connected() as database:
        found = await pages.listing(database)
    show.pages(found, as_json=as_json, empty="There is no Page yet: `pagewire page add`.")


@app.command(name="show")
async def show_(page: ThisPage, /, *, as_json: show.AsJson = False) -> None:
    """Show one Page.

    For example:

        pagewire page show 1023456789
    """
    async with postgres.connected() as database:
        found = await pages.find(database, page)
    _print(found, as_json=as_json)


@app.command
async def pause(page: ThisPage, /, *, as_json: show.AsJson = False) -> None:
    """Stop a Page's syncs until it is resumed; its webhooks are still kept.

    For example:

        pagewire page pause 1023456789
    """
    from ingress.cli import jobs

    settings = configuration.settings("database_url")
    async with postgres.connected(settings) as database:
        found = await pages.pause(database, (await pages.find(database, page)).id)
    await jobs.follow(settings)
    _print(found, as_json=as_json)


@app.command
async def resume(page: ThisPage, /, *, as_json: show.AsJson = False) -> None:
    """Let a paused or parked Page go on, and sync it.

    For example:

        pagewire page resume 1023456789
    """
    from ingress.cli import jobs

    settings = configuration.settings("database_url")
    async with postgres.connected(settings) as database:
        found = await pages.resume(database, (await pages.find(database, page)).id)
    await jobs.follow(settings, [found], sync=True)
    _print(found, as_json=as_json)


@app.command
async def remove(
    page: ThisPage,
    /,
    *,
    purge: Annotated[
        bool, Parameter(negative="", help="Delete everything that is stored of it.")
    ] = False,
    as_json: show.AsJson = False,
) -> None:
    """Erase a Page's token and stop its syncs; its rows stay, and adding it again revives it.

    For example:

        pagewire page remove 1023456789
    """
    from ingress.cli import jobs

    settings = configuration.settings("database_url")
    async with postgres.connected(settings) as database:
        found = await pages.find(database, page)
        await pages.remove(database, found.id, purge=purge)
    await jobs.follow(settings)
    if as_json:
        show.json({"id": found.id, "purged": purge})
    else:
        print(f"{'Purged' if purge else 'Removed'} {show.printable(found.name)} ({found.id})")


def _print(page: Page, *, as_json: bool) -> None:
    if as_json:
        show.json(page)
    else:
        show.facts({name.replace("_", " "): value for name, value in asdict(page).items()})
