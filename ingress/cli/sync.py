from functools import partial
from typing import Annotated

from cyclopts import Parameter

from ingress.cli import configuration, following, postgres, show, which
from ingress.cli.following import Named
from ingress.cli.problem import FAILED, OK
from ingress.cli.which import AllPages, MaybePage
from shared.store import pages, runs
from shared.store.database import Database
from shared.store.runs import Run


async def sync(
    page: MaybePage = None,
    /,
    *,
    everything: AllPages = False,
    full: Annotated[
        bool, Parameter(negative="", help="Walk it whole, not only what is new.")
    ] = False,
    wait: Annotated[bool, Parameter(negative="", help="Show progress until it has ended.")] = False,
    as_json: show.AsJson = False,
) -> int:
    """Ask the workers to sync a Page with Facebook; a sync that runs already is joined.

    For example:

        pagewire sync --all --wait
    """
    which.one_or_all(page, everything=everything)
    settings = configuration.settings("database_url")
    async with postgres.connected(settings) as database:
        run, asked = await _ask(database, page, full=full)
        await following.begin(settings, [run])
        if wait:
            asked = await following.followed(database, asked, partial(_look, database, run, asked))
    if as_json:
        shown = [following.told(name, one) for name, one in asked]
        show.json(shown if everything else shown[0])
    else:
        show.table((_row(name, one) for name, one in asked), empty="There is no active Page.")
    return FAILED if wait and any(one.status != "complete" for _, one in asked) else OK


async def _ask(database: Database, page: str | None, *, full: bool) -> tuple[Run, Named]:
    from shared.facebook.graph.limits import Priority

    if page is None:
        batch = await runs.request_all(database, full=full, priority=Priority.PEOPLE)
        return batch, await runs.members(database, batch.id)
    found = await pages.find(database, page)
    run, _ = await runs.request(
        database,
        found.facebook_page_id,
        "full" if full else "incremental",
        priority=Priority.PEOPLE,
    )
    if following.rests(run):
        raise following.resting(found, run)
    return run, [(found.name, run)]


async def _look(database: Database, run: Run, asked: Named) -> Named:
    if run.mode == "all":
        return await runs.members(database, run.id)
    return [(name, await runs.find(database, run.id)) for name, _ in asked]


def _row(name: str, run: Run) -> dict[str, object]:
    return {
        "page": name,
        "sync": run.mode,
        "state": run.status,
        "conversations": run.counts.synced,
        "new": run.counts.inserted,
        "changed": run.counts.updated,
        "run": run.id,
        "error": run.error,
    }
