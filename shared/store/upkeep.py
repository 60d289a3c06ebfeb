"""What the tables need from time to time."""

from datetime import timedelta

from shared.store.database import Database


async def keep_partitions(database: Database, retention: timedelta) -> None:
    """Make the coming week's partitions of `raw_events`, and drop those past `retention`."""
    async with database.transaction() as connection:
        await connection.execute("select keep_raw_partitions(now(), $1)", retention)
