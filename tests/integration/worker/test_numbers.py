"""What a worker tells an operator's tools."""

import asyncio

import aiohttp

from deploy.local import ports
from shared import metrics
from worker.numbers import Numbers


async def test_a_worker_tells_that_it_lives_and_what_it_counts():
    stop, port = asyncio.Event(), ports.any_free("127.0.0.1")
    metrics.ingest_items.inc(0)
    serving = asyncio.create_task(Numbers("127.0.0.1", port).serve(stop))
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session, asyncio.timeout(10):
        while not ports.accepts("127.0.0.1", port):
            await asyncio.sleep(0.01)
        async with session.get("/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok")
        async with session.get("/metrics") as answer:
            assert "pagewire_ingest_items_total" in await answer.text()
    stop.set()
    await asyncio.wait_for(serving, 5)
