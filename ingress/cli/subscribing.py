from typing import Annotated

from cyclopts import Parameter

from ingress.cli import configuration, postgres, show
from ingress.cli.problem import FAILED, OK, USAGE, Problem
from shared.store import pages


async def subscribe(
    page: Annotated[
        str | None,
        Parameter(name="PAGE", help="Our id, Facebook's id or its Instagram account's id."),
    ] = None,
    /,
    *,
    everything: Annotated[
        bool, Parameter(name="--all", negative="", help="Every active Page.")
    ] = False,
    as_json: show.AsJson = False,
) -> int:
    """Have Facebook send a Page's webhooks to the app, with every field that is understood.

    For example:

        pagewire page subscribe --all
    """
    from ingress.cli import graph
    from shared.crypto import KeyRing
    from shared.facebook import replies, requests

    if (page is None) != everything:
        raise Problem("Say which Page, or --all.", todo="`pagewire page list`", status=USAGE)
    settings = configuration.settings("database_url", "token_encryption_keys", *graph.WANTS)
    keys = KeyRing(settings.token_encryption_keys)
    rows: list[dict[str, object]] = []
    async with postgres.connected(settings) as database, graph.connected(settings) as client:
        for one in [await pages.find(database, page)] if page else await pages.listing(database):
            if everything and not one.is_active:
                continue
            try:
                token = await graph.token_of(database, keys, one)
                await graph.ask(client, requests.subscribe(one.facebook_page_id), token)
                asked = requests.subscribed_apps(one.facebook_page_id)
                reply = await graph.ask(client, asked, token)
                fields = sorted(replies.subscribed_fields(reply, client.app_id))
                rows.append({"page": one.name, "error": None, "fields": fields})
            except Problem as problem:
                if not everything:
                    raise
                rows.append({"page": one.name, "error": problem.why, "fields": []})
    if as_json:
        show.json(rows)
    else:
        show.table(rows, empty="There is no active Page.")
    return FAILED if any(row["error"] for row in rows) else OK
