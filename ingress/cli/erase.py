import sys
from typing import Annotated

from cyclopts import Parameter

from ingress.cli import configuration, postgres, show
from ingress.cli.problem import USAGE, Problem
from shared import log
from shared.config import Settings
from shared.store import erasing, privacy
from shared.store.erasing import Erased


async def erase(
    person: Annotated[str, Parameter(name="PERSON", help="A PSID or IGSID.")],
    /,
    *,
    page: Annotated[str | None, Parameter(help="At this Page alone, by any of its ids.")] = None,
    request: Annotated[
        str | None, Parameter(help="Facebook's data-deletion request this answers, by its code.")
    ] = None,
    yes: Annotated[bool, Parameter(negative="", help="Do not ask.")] = False,
    as_json: show.AsJson = False,
) -> None:
    """Erase a person for good: everything they and a Page wrote to each other, in every copy.

    Nothing brings them back: no replay, no redelivery, no sync. With --page also somebody that
    nobody has heard of yet.

    For example:

        pagewire erase 7392015648120394 --page 102938475610293
    """
    settings = configuration.settings("database_url", "redis_url")
    log.configure("warning", settings.log_format)
    async with postgres.connected(settings) as database:
        if request and await privacy.state(database, request) is None:
            raise Problem("There is no data-deletion request with this code.")
        page_ids = await erasing.whereabouts(database, person, page)
        if not page_ids:
            raise Problem(
                "No Page knows this person.",
                "A person has another id for every Page; an app-scoped id is none of them.",
                "With --page PAGE the id is erased all the same, and never let in.",
            )
        if not yes:
            _confirm(page_ids)
        erased = [await erasing.erase(database, page_id, person) for page_id in page_ids]
        if request:
            await privacy.finish(database, request)
    await _forget(settings, erased)
    if as_json:
        show.json(erased)
    else:
        show.table(
            ({"page": one.page_id, **one.rows} for one in erased),
            empty="",
        )


def _confirm(page_ids: list[str]) -> None:
    if not sys.stdin.isatty():
        raise Problem("Nobody is here to be asked.", todo="Say --yes.", status=USAGE)
    show.note(f"This erases the person at {', '.join(page_ids)} for good.")
    if input("Type yes to go on: ") != "yes":
        raise Problem("Nothing was erased.")


async def _forget(settings: Settings, erased: list[Erased]) -> None:
    """Have cached answers forgotten, and listeners told."""
    from shared import redis
    from shared.cache import Cache

    cache = Cache(redis.connect(settings.cache_redis_url.reveal(), size=1))
    await cache.changed(erased)
    away = cache.in_memory
    await cache.aclose()
    if away:
        raise Problem(
            "Cached answers may still show the person for CACHE_TTL.",
            "Everything is erased from Postgres, but Redis does not answer.",
            "Run it again once Redis is back: nothing is erased twice.",
        )
