import asyncio
from typing import Annotated

from cyclopts import Parameter

from ingress.cli import postgres, show
from shared.store import feed, pages
from shared.store.feed import FeedChange, Forgotten

LOOK_EVERY = 0.2
"""Seconds; a look that finds nothing costs Postgres a fraction of a millisecond."""

MOST = 1000
"""Changes that one look shows; a screen shows no more either."""


async def tail(
    *,
    page: Annotated[str | None, Parameter(help="Only what concerns this Page.")] = None,
    as_json: show.AsJson = False,
) -> None:
    """Follow conversations as they change, until Ctrl-C; with --json one object a line.

    For example:

        pagewire tail
    """
    async with postgres.connected() as database:
        found = await pages.listing(database)
        page_ids = None if page is None else (await pages.find(database, page)).entry_ids
        names = {page_id: one.name for one in found for page_id in one.entry_ids}
        position = await feed.now(database)
        while True:
            try:
                look = await feed.since(database, page_ids, position, most=MOST)
            except Forgotten:
                show.note("What changed since the last line is forgotten: going on from now.")
                position = await feed.now(database)
                continue
            for change in look.changes:
                _print(change, names, as_json=as_json)
            if look.more:
                show.note("More changed at the same moment than is shown.")
            position = look.position
            await asyncio.sleep(LOOK_EVERY)


def _print(change: FeedChange, names: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        show.json(change)
    else:
        page = show.printable(names.get(change.page_id, change.page_id))
        kinds = ", ".join(change.kinds)
        print(show.cell(change.at), page, change.participant_id, kinds, sep="  ", flush=True)
