from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from ingress.cli import configuration, postgres, show
from ingress.cli.problem import USAGE, Problem
from shared.config import duration
from shared.store import pages


async def replay(
    *,
    since: Annotated[str, Parameter(help="How long ago it was received: 30m, 2h, 7d.")],
    page: Annotated[str | None, Parameter(help="Of this Page alone, by any of its ids.")] = None,
    as_json: show.AsJson = False,
) -> None:
    """Have the workers apply again what webhooks brought, as far back as RAW_RETENTION keeps it.

    It changes nothing that is as it should be, and live events go first. What was unsent or erased
    stays gone.

    For example:

        pagewire replay --since 2h
    """
    from ingress.cli import jobs
    from shared.queue import LATER, Replay

    try:
        begin = datetime.now(UTC) - duration(since)
    except (ValueError, OverflowError) as error:
        raise Problem(f"--since {error}.", status=USAGE) from None
    settings = configuration.settings("database_url", "redis_url")
    if page is not None:
        async with postgres.connected(settings) as database:
            page = (await pages.find(database, page)).facebook_page_id
    async with jobs.connected(settings) as queue:
        asked = Replay(since_ms=int(begin.timestamp() * 1000), page=page)
        job_id = await queue.put(asked, queue=LATER)
    if as_json:
        show.json({"job": job_id})
    else:
        print("The workers replay it; their log tells how far they are.")
