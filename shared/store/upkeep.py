"""What the tables need from time to time."""

from datetime import timedelta

from shared.store import queries
from shared.store.database import Database

_SQL = queries.load("expiring.sql")


async def keep_partitions(database: Database, retention: timedelta) -> None:
    """Make the coming week's partitions of `raw_events`, and drop those past `retention`.

    Each that is dropped leaves an audit line.
    """
    async with database.transaction() as connection:
        before = await connection.fetch(_SQL["raw_partitions"])
        await connection.execute("select keep_raw_partitions(now(), $1)", retention)
        left = await connection.fetch(_SQL["raw_partitions"])
        for dropped in sorted({row["name"] for row in before} - {row["name"] for row in left}):
            await connection.execute(_SQL["insert_audit"], "drop", dropped, "{}")
