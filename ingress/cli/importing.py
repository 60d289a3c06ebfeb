import asyncio
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ingress.cli import configuration, postgres, show, tokens
from shared.config import Secret
from shared.store import pages
from shared.store.pages import Page


def import_(
    *,
    user_token_file: Annotated[
        Path,
        Parameter(
            help="File that holds a user's token, - for standard input.", allow_leading_hyphen=True
        ),
    ],
    as_json: show.AsJson = False,
) -> None:
    """Add all Pages that a user manages, with the tokens Facebook gives for them.

    For example:

        pagewire page import --user-token-file user-token.txt
    """
    token = tokens.in_file(user_token_file)
    asyncio.run(_import(token, as_json=as_json))


async def _import(token: Secret, *, as_json: bool) -> None:
    from ingress.cli import graph, jobs
    from shared.crypto import KeyRing
    from shared.facebook.graph import details, requests

    settings = configuration.settings("database_url", "token_encryption_keys", *graph.WANTS)
    keys = KeyRing(settings.token_encryption_keys)
    added: list[Page] = []
    async with postgres.connected(settings) as database, graph.connected(settings) as client:
        after: str | None = None
        while True:
            reply = await graph.ask(client, requests.accounts(after=after), token)
            accounts, after = details.accounts(reply)
            for account in accounts:
                if account.token is None:
                    show.note(f"Not added: {show.printable(account.name)}, as it has no token.")
                    continue
                page = await pages.add(
                    database,
                    facebook_page_id=account.page_id,
                    name=account.name,
                    instagram_id=account.instagram_id,
                    token=keys.encrypt(Secret(account.token), account.page_id),
                )
                added.append(page)
            if after is None:
                break
    await jobs.follow(settings, added, sync=True)
    show.pages(added, as_json=as_json, empty="The user manages no Page.")
