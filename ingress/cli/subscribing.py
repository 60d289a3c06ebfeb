from ingress.cli import configuration, postgres, show, which
from ingress.cli.problem import FAILED, OK, Problem
from ingress.cli.which import AllPages, MaybePage


async def subscribe(
    page: MaybePage = None,
    /,
    *,
    everything: AllPages = False,
    as_json: show.AsJson = False,
) -> int:
    """Have Facebook send a Page's webhooks to the app, with every field that is understood.

    For example:

        pagewire page subscribe --all
    """
    from ingress.cli import graph
    from shared.crypto import KeyRing
    from shared.facebook.graph import details, requests

    which.one_or_all(page, everything=everything)
    settings = configuration.settings("database_url", "token_encryption_keys", *graph.WANTS)
    keys = KeyRing(settings.token_encryption_keys)
    rows: list[dict[str, object]] = []
    async with postgres.connected(settings) as database, graph.connected(settings) as client:
        for one in await which.meant(database, page):
            try:
                token = await graph.token_of(database, keys, one)
                asked = requests.subscribed_apps(one.facebook_page_id)
                reply = await graph.ask(client, asked, token)
                had = details.subscribed_fields(reply, client.app_id)
                # The new fields replace the old: what others asked for stays.
                fields = sorted(had.union(requests.WANTED_FIELDS))
                await graph.ask(client, requests.subscribe(one.facebook_page_id, fields), token)
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
