from typing import Annotated

from cyclopts import Parameter

from ingress.cli import configuration, postgres, show
from ingress.cli.problem import OK, UNHEALTHY
from shared.errors import Unavailable
from shared.store import migrate as store


async def migrate(
    *,
    check: Annotated[
        bool, Parameter(negative="", help="Apply nothing; exit 3 when something is missing.")
    ] = False,
    as_json: show.AsJson = False,
) -> int:
    """Bring the database of DATABASE_URL up to date; print the names of what was applied.

    For example:

        pagewire migrate --check
    """
    dsn = configuration.settings("database_url").database_url.reveal()
    try:
        names = await (store.pending(dsn) if check else store.migrate(dsn))
    except Unavailable as error:
        raise postgres.unusable(error) from error
    if as_json:
        show.json({"pending" if check else "applied": names})
    else:
        for name in names:
            print(name)
        if not names:
            show.note("The database is up to date.")
    return UNHEALTHY if check and names else OK
