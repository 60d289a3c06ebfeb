"""Ask Pagewire for a sync from another service.

    python queue_sync.py FACEBOOK_PAGE_ID

Needs REDIS_URL and Pagewire's package, which has the jobs' names and arguments as types.
"""

import asyncio
import os
import sys

from shared import queue
from shared.queue import NOW, Queue, SyncPage
from shared.redis import connect


async def main(page: str) -> None:
    """Queue the job and print its id."""
    redis = queue.connect(connect(os.environ["REDIS_URL"]).connection_pool)
    try:
        print(await Queue(redis).put(SyncPage(page=page), queue=NOW))
    finally:
        await redis.connection_pool.disconnect()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
