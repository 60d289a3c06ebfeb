from typing import Annotated

from cyclopts import Parameter

from ingress.cli import configuration, following, postgres, show, which
from ingress.cli.following import Named
from ingress.cli.problem import FAILED, OK
from ingress.cli.which import AllPages, MaybePage
from shared.store import coverage, runs
from shared.store.database import Database

_NAMES = ("page_id", "participant_id", "mid")


async def verify(
    page: MaybePage = None,
    /,
    *,
    everything: AllPages = False,
    deep: Annotated[
        bool, Parameter(negative="", help="Every message, not only each conversation's newest.")
    ] = False,
    repair: Annotated[bool, Parameter(negative="", help="Fetch what is missing.")] = False,
    as_json: show.AsJson = False,
) -> int:
    """Compare a Page with Facebook and name what is missing here; exit 1 where something is.

    What is only here is named as well, and no fault: it may have been taken back, or hidden.

    For example:

        pagewire verify --all --deep
    """
    which.one_or_all(page, everything=everything)
    settings = configuration.settings("database_url")
    async with postgres.connected(settings) as database:
        asked = await _ask(database, page, {"deep": deep, "repair": repair})
        await following.begin(settings, [run for _, run in asked])
        ended = await following.followed(database, asked, lambda: _look(database, asked))
        missing = {
            run.id: await coverage.findings(database, run.id, open_only=True) for _, run in ended
        }
        unlisted = {run.id: await coverage.unlisted(database, run.id) for _, run in ended}
    if as_json:
        show.json(
            [
                {
                    **following.told(name, run),
                    "missing": missing[run.id],
                    "unlisted": [dict(zip(_NAMES, one, strict=True)) for one in unlisted[run.id]],
                }
                for name, run in ended
            ]
        )
    else:
        show.table((_row(name, run) for name, run in ended), empty="There is no active Page.")
        for found in missing.values():
            for one in found:
                print(f"missing: page {one.page_id}, thread {one.thread_id}, {_what(one.mid)}")
        for extra in unlisted.values():
            for page_id, person, mid in extra:
                print(f"only here: page {page_id}, person {person}, {_what(mid)}")
    incomplete = any(run.status != "complete" for _, run in ended) or any(missing.values())
    return FAILED if incomplete else OK


async def _ask(database: Database, page: str | None, options: dict[str, bool]) -> Named:
    from shared.facebook.graph.limits import Priority

    # Every message of a Page is a great deal: it takes the calls that nobody else wants.
    priority = Priority.HISTORY if options["deep"] else Priority.PEOPLE
    asked: Named = []
    for one in await which.meant(database, page):
        if options["deep"] and await coverage.has_open_history(database, one.entry_ids):
            show.note(f"The history of {one.name} is still being fetched: its rest is missing yet.")
        run, _ = await runs.request(
            database, one.facebook_page_id, "verify", priority=priority, options=options
        )
        if page and following.rests(run):
            raise following.resting(one, run)
        asked.append((one.name, run))
    return asked


async def _look(database: Database, asked: Named) -> Named:
    return [(name, await runs.find(database, run.id)) for name, run in asked]


def _row(name: str, run: runs.Run) -> dict[str, object]:
    return {
        "page": name,
        "state": run.status,
        "conversations": run.counts.total,
        "missing": run.counts.missing,
        "repaired": run.counts.repaired,
        "error": run.error,
    }


def _what(mid: str) -> str:
    return f"message {mid}" if mid else "the whole conversation"
