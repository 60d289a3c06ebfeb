"""Postgres as a command uses it; what goes wrong names the setting to look at."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ingress.cli import configuration
from ingress.cli.problem import Problem
from shared.config import Settings
from shared.errors import Unavailable
from shared.store.database import Database, NotMigrated


@asynccontextmanager
async def connected(settings: Settings | None = None) -> AsyncIterator[Database]:
    """Lend the database of DATABASE_URL; an outage within becomes a Problem."""
    settings = settings or configuration.settings("database_url")
    database = Database(settings.database_url.reveal(), high=2)
    try:
        yield database
    except Unavailable as error:
        raise unusable(error) from error
    finally:
        await database.close()


def unusable(error: Unavailable) -> Problem:
    """Return what to tell when Postgres, or Pagewire's tables in it, are not there."""
    if isinstance(error, NotMigrated):
        return Problem(
            "The database is not up to date.",
            "It lacks tables or columns of this release.",
            "pagewire migrate",
        )
    what, _, why = str(error).partition(": ")
    return Problem(f"{what}.", f"At DATABASE_URL: {why}.", configuration.advice("DATABASE_URL"))
