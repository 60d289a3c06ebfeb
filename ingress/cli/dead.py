"""`pagewire dead …`: what could not become rows, kept until a person decides."""

import base64
import sys
from typing import Annotated, TypeAlias

from cyclopts import App, Parameter
from msgspec.structs import asdict

from ingress.cli import configuration, postgres, show
from ingress.cli.problem import USAGE, Problem
from shared.errors import NotFound
from shared.store import dead, pages
from shared.store.database import Database

app = App(name="dead", help="Look at what could not be understood, and decide about it.")

Ids: TypeAlias = Annotated[list[int] | None, Parameter(name="ID", negative="", help="Which.")]
Reason: TypeAlias = Annotated[str | None, Parameter(help="Only those with this reason.")]
OfPage: TypeAlias = Annotated[str | None, Parameter(help="Only those of this Page.")]
All: TypeAlias = Annotated[bool, Parameter(name="--all", negative="", help="All that are open.")]


@app.command(name="list")
async def list_(
    *,
    reason: Reason = None,
    page: OfPage = None,
    limit: Annotated[int, Parameter(help="The newest so many.")] = 50,
    as_json: show.AsJson = False,
) -> None:
    """List the open dead letters: how many by reason, then the newest of them.

    For example:

        pagewire dead list --reason unreadable
    """
    async with postgres.connected() as database:
        page_ids = await _entry_ids(database, page)
        groups = await dead.groups(database, page_ids=page_ids)
        letters = await dead.listing(database, reason=reason, page_ids=page_ids, limit=limit)
    if as_json:
        show.json({"groups": groups, "letters": letters})
        return
    show.table(map(asdict, groups), empty="There is no dead letter.")
    if letters:
        print()
        show.table(
            (
                {
                    "id": letter.id,
                    "reason": letter.reason,
                    "page": letter.page_id,
                    "bytes": letter.size,
                    "first seen": letter.first_seen,
                    "tries": letter.tries,
                    "error": letter.error,
                }
                for letter in letters
            ),
            empty="",
        )


@app.command(name="show")
async def show_(
    letter: Annotated[int, Parameter(name="ID", help="Its id.")],
    /,
    *,
    raw: Annotated[
        bool, Parameter(negative="", help="Print its bytes alone, as they came.")
    ] = False,
    as_json: show.AsJson = False,
) -> None:
    """Show a dead letter with its content.

    For example:

        pagewire dead show 12 --raw
    """
    async with postgres.connected() as database:
        found, content = await dead.show(database, letter)
    if raw:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
    elif as_json:
        show.json({**asdict(found), "bytes": base64.b64encode(content).decode()})
    else:
        show.facts({name.replace("_", " "): value for name, value in asdict(found).items()})
        print()
        print(show.printable(content.decode("utf-8", "backslashreplace")))


@app.command
async def retry(
    ids: Ids = None,
    /,
    *,
    reason: Reason = None,
    page: OfPage = None,
    everything: All = False,
    as_json: show.AsJson = False,
) -> None:
    """Have the workers try dead letters again: what still cannot be understood comes back here.

    For example:

        pagewire dead retry --reason refused
    """
    from ingress.cli import jobs
    from shared.queue import NOW, RetryDead

    _some(ids, reason, page, everything=everything)
    settings = configuration.settings("database_url", "redis_url")
    async with postgres.connected(settings) as database:
        page_ids = await _entry_ids(database, page)
        for letter in ids or ():
            await dead.show(database, letter)
    async with jobs.connected(settings) as queue:
        asked = RetryDead(ids=ids or None, reason=reason, page_ids=page_ids)
        job_id = await queue.put(asked, queue=NOW)
    if as_json:
        show.json({"job": job_id})
    else:
        print("The workers try again; `pagewire dead list` shows what comes back.")


@app.command
async def discard(
    ids: Ids = None,
    /,
    *,
    reason: Reason = None,
    page: OfPage = None,
    everything: All = False,
    as_json: show.AsJson = False,
) -> None:
    """Decide that dead letters need nothing: they are kept, and no longer listed.

    For example:

        pagewire dead discard --reason unknown_object
    """
    _some(ids, reason, page, everything=everything)
    async with postgres.connected() as database:
        page_ids = await _entry_ids(database, page)
        count = await dead.discard(database, ids=ids or None, reason=reason, page_ids=page_ids)
    if as_json:
        show.json({"discarded": count})
    else:
        print(f"Discarded {count}")


def _some(ids: list[int] | None, reason: str | None, page: str | None, *, everything: bool) -> None:
    if not (ids or reason or page or everything):
        raise Problem(
            "Say which dead letters.",
            todo="Give their ids, --reason, --page or --all; `pagewire dead list` shows them.",
            status=USAGE,
        )


async def _entry_ids(database: Database, page: str | None) -> list[str] | None:
    """Return the ids a Page's letters bear; most letters are of Pages nobody has added."""
    if page is None:
        return None
    try:
        return (await pages.find(database, page)).entry_ids
    except NotFound:
        return [page]
