"""Postgres, Redis and what waits in them."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta

from redis.exceptions import RedisError

from ingress.cli import configuration
from ingress.cli.checks.finding import Finding, judged, span
from ingress.cli.postgres import unusable
from shared.backlog.inbox import Inbox
from shared.backlog.postgres import open_pool
from shared.backlog.stream import Stream
from shared.config import Secret, Settings
from shared.errors import Unavailable
from shared.redis import connect
from shared.store import health, migrate
from shared.store.database import Database

OLDEST_REDIS = 7
LONGEST_WAIT = timedelta(minutes=1)
LARGEST_SKEW = 5.0
"""Seconds. Facebook tells its time in whole ones, and answers take a while."""


async def postgres(
    settings: Settings, database: Database, clocks: dict[str, float]
) -> AsyncIterator[Finding]:
    """Look at the server of DATABASE_URL."""
    if not settings.database_url:
        return
    try:
        pending = await migrate.pending(settings.database_url.reveal())
        server = await health.server(database)
    except Unavailable as error:
        problem = unusable(error)
        yield Finding(subject="Postgres", ok=False, text=problem.why, fix=problem.todo)
        return
    clocks["Postgres"] = server.now.timestamp() - time.time()
    problems = []
    if server.major < health.OLDEST:
        problems.append((f"is older than {health.OLDEST}", "Upgrade it."))
    if server.read_only:
        problems.append(("takes no writes", "Point DATABASE_URL at the primary."))
    yield judged("Postgres", f"version {server.version}", problems)
    left = server.most_connections - server.connections
    yield judged(
        "Connections",
        f"{server.connections} of {server.most_connections} in use",
        [("a process may open DATABASE_POOL_MAX more", "Lower it, or raise max_connections.")]
        if left < settings.database_pool_max
        else [],
    )
    yield judged(
        "Migrations",
        f"{len(pending)} missing" if pending else "all applied",
        [("", "pagewire migrate")] if pending else [],
    )


async def redis(settings: Settings, clocks: dict[str, float]) -> AsyncIterator[Finding]:
    """Look at the server of REDIS_URL, at those of the backlog, and at what waits in them."""
    elsewhere = [url for url in settings.backlog_redis_urls if url != settings.redis_url]
    for number, url in enumerate(filter(None, (settings.redis_url, *elsewhere)), 1):
        which = f" {number}" if number > 1 else ""
        async for finding in _one_redis(settings, url, which, clocks):
            yield finding


async def _one_redis(
    settings: Settings, url: Secret, which: str, clocks: dict[str, float]
) -> AsyncIterator[Finding]:
    client = connect(url.reveal(), size=2)
    stream = Stream(client)
    try:
        version = (await client.info("server"))["redis_version"]
        seconds, micros = await client.time()
        clocks[f"Redis{which}"] = seconds + micros / 1e6 - time.time()
        durability, state = await stream.durability(), await stream.state()
    except (RedisError, OSError, Unavailable) as error:
        yield Finding(
            subject=f"Redis{which}",
            ok=False,
            text=f"does not answer: {type(error).__name__}",
            fix=configuration.advice("BACKLOG_REDIS_URLS" if which else "REDIS_URL"),
        )
        return
    finally:
        await stream.aclose()
    problems = []
    if int(version.partition(".")[0]) < OLDEST_REDIS:
        problems.append((f"is older than {OLDEST_REDIS}", "Upgrade it."))
    if state.fullness > 0.8:
        problems.append((f"uses {state.fullness:.0%} of its memory", "Raise maxmemory."))
    yield judged(f"Redis{which}", f"version {version}", problems)
    if url not in settings.backlog_redis_urls:
        return
    # With a copy in Postgres, how Redis keeps its own decides nothing.
    is_only_copy = settings.ingress_log == "redis"
    yield judged(
        f"Durability{which}",
        f"level {durability.level} of 3: {durability.why}",
        [("", "Set appendonly yes, appendfsync always, maxmemory-policy noeviction.")]
        if durability.evicts or (is_only_copy and durability.level < 3)
        else [],
    )
    yield _waiting(f"Backlog{which}", state.unapplied, state.backlog_age(seconds * 1000))


async def inbox(settings: Settings) -> AsyncIterator[Finding]:
    """Look at what spilled to Postgres."""
    if not settings.database_url:
        return
    pool = await open_pool(settings.database_url.reveal(), size=1, patience=5)
    try:
        waiting, age = await Inbox(pool, patience=5).unapplied()
    except Unavailable:
        return  # Postgres' own line has told why
    finally:
        await pool.close()
    yield _waiting("Inbox", waiting, age or timedelta())


def _waiting(subject: str, count: int, age: timedelta) -> Finding:
    if not count:
        return Finding(subject=subject, ok=True, text="empty")
    is_late = age > LONGEST_WAIT
    return judged(
        subject,
        f"{count} wait, the oldest for {span(age)}",
        [("", "Start a worker (`python -m worker`), or another.")] if is_late else [],
    )


def clock(clocks: dict[str, float]) -> Finding:
    """Compare the clocks: seconds that others are ahead of ours, by name."""
    wrong = {name: skew for name, skew in clocks.items() if abs(skew) > LARGEST_SKEW}
    return judged(
        "Clock",
        "as " + ", ".join(clocks) if clocks else "nothing to compare it with",
        [
            (f"{name} is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}", "Use NTP.")
            for name, skew in wrong.items()
        ],
    )
