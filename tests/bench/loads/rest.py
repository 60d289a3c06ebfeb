"""What nothing costs, and what the servers can do at best."""

import asyncio
import time

import asyncpg

from shared.redis import connect
from tests.bench.figures import Figures
from tests.bench.loads import rows
from tests.bench.loads.size import Size
from tests.bench.servers import Servers
from tests.bench.systems import PEERS, System


async def idle(servers: Servers, system: System, size: Size) -> Figures:
    """Nothing happens; what it costs."""
    async with system.running(servers) as it:
        await rows.warm(it)
        await asyncio.sleep(2)
        commands, before = await _redis_commands(servers), it.cpu()
        await asyncio.sleep(size.idle)
        cpu, commands = it.cpu(), await _redis_commands(servers) - commands
    return {
        "cpu_percent": 100 * (cpu.own - before.own) / size.idle,
        "stores_cpu_percent": 100 * (cpu.stores - before.stores) / size.idle,
        "redis_commands_per_s": commands / size.idle,
    }


async def limits(servers: Servers) -> Figures:
    """What the servers can do at best: entries appended, rows upserted, one after the other."""
    redis = connect(servers.redis)
    connection = await asyncpg.connect(await servers.fresh())
    await connection.execute((PEERS / "schema.sql").read_text())
    await connection.execute("insert into pages values ('1')")
    upsert = await connection.prepare((PEERS / "store.sql").read_text())
    try:
        began = time.perf_counter()
        for _ in range(100):
            async with redis.pipeline(transaction=False) as pipe:
                for _ in range(100):
                    pipe.xadd("bench", {"e": bytes(600)})
                await pipe.execute()
        appended = time.perf_counter()
        for number in range(2000):
            await upsert.fetch("1", f"m_{number}", "2", "in", number, "text", None)
        upserted = time.perf_counter()
    finally:
        await connection.close()
        await redis.aclose()
    return {
        "xadd_per_s": 10_000 / (appended - began),
        "upserts_per_s": 2000 / (upserted - appended),
    }


async def _redis_commands(servers: Servers) -> int:
    redis = connect(servers.redis)
    try:
        return (await redis.info("stats"))["total_commands_processed"]
    finally:
        await redis.aclose()
