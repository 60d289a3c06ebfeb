"""Print the conversations that change, each change at least once, also across restarts.

    python follow_changes.py NAME

Needs DATABASE_URL and Pagewire's package. NAME is under what its place is kept.
"""

import asyncio
import os
import sys

from shared.store.database import Database
from shared.store.feed import Consumer, Forgotten


async def main(name: str) -> None:
    """Follow the feed until stopped."""
    database = Database(os.environ["DATABASE_URL"])
    consumer = Consumer(database, name)
    try:
        while True:
            try:
                changes = await consumer.read()
            except Forgotten:
                print("away for too long: read everything anew", file=sys.stderr)
                await consumer.restart()
                continue
            for change in changes:
                print(change.conversation_id, *change.kinds, flush=True)
            if changes:
                await consumer.done()
            else:
                await asyncio.sleep(1)
    finally:
        await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
