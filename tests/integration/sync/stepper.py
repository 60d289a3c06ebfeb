"""Takes steps of a sync until it is done, as a process that can be killed."""

import asyncio
import os
import sys
from uuid import UUID

from shared import config, log
from tests.integration.sync.desk import worker_tools
from worker.outcome import Snooze
from worker.sync.step import take_step


async def main() -> None:
    async with worker_tools(config.load(os.environ, wants=())) as tools:
        while isinstance(await take_step(tools, UUID(sys.argv[1])), Snooze):
            pass


if __name__ == "__main__":
    log.configure("error")
    asyncio.run(main())
