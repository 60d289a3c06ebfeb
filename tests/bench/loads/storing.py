"""As many events as can be stored: while they come, out of a backlog, and when they come twice."""

import asyncio
import io
import time
from collections.abc import Sequence

import asyncpg

from tests.bench import figures
from tests.bench.figures import Figures
from tests.bench.loads import rows
from tests.bench.loads.size import Size
from tests.bench.sender import send
from tests.bench.servers import Servers
from tests.bench.systems import OURS, Running, System
from tests.bench.traffic import Post, events, posts

BYTES = (
    "select sum(pg_total_relation_size(oid))::bigint from pg_class"
    " where relnamespace = 'public'::regnamespace and relkind = 'r'"
)
"""How many bytes all tables take, with what belongs to them."""

LSN = "select pg_current_wal_insert_lsn() - '0/0'"
"""How many bytes of WAL were ever written."""


async def stored(servers: Servers, system: System, size: Size, each: int) -> Figures:
    """As many events as 64 connections bring, until the last is committed."""
    count = size.stored * (2 if each > 1 else 1) // (1 if system is OURS else 20)
    async with system.running(servers) as it:
        await rows.warm(it)
        before = it.cpu()
        answers = await send(it.port, posts(events(count), each))
        found = await rows.arrived(it.database, rows.WARM + count)
        spent = it.cpu().per_1000(before, count)
    return {
        **figures.acks(answers),
        "events_per_s": figures.stored_per_s(answers, {row.mid: row.committed for row in found}),
        "lost": rows.WARM + figures.acked(answers) - len(found),
        **spent,
    }


async def backlog(servers: Servers, system: System, size: Size, workers: int) -> Figures:
    """What was acknowledged while no worker ran; then raw COPY of the rows that became of it."""
    async with system.running(servers) as it:
        answers = await send(it.port, posts(events(size.backlog), 10))
        it.start_workers(workers)
        before = it.cpu()
        times = [row.committed for row in await rows.arrived(it.database, size.backlog)]
        spent = it.cpu().per_1000(before, size.backlog)
        occupied = await rows.value(it.database, BYTES)
        indexes = await rows.value(it.database, "select pg_indexes_size('messages')")
    rate = len(times) / (max(times) - min(times))
    copied = size.backlog / await _copy(it.database, await servers.migrated("bench_copy"))
    return {
        "events_per_s": rate,
        "copy_per_s": copied,
        "of_copy": rate / copied,
        "stored_bytes": occupied / len(times),
        "index_bytes": indexes / len(times),
        "lost": figures.acked(answers) - len(times),
        **spent,
    }


async def duplicates(servers: Servers, system: System, size: Size) -> Figures:
    """Every event twice, packed otherwise the second time, so that no body comes again."""
    happened = events(size.stored)
    async with system.running(servers) as it:
        await rows.warm(it)
        new, new_wal = await _cost(it, posts(happened, 10), rows.WARM + len(happened))
        versions = await rows.value(it.database, "select max(xmin::text::bigint) from messages")
        again, again_wal = await _cost(it, posts(happened[::-1], 10), rows.WARM + len(happened))
        rewritten = await rows.value(
            it.database, f"select count(*) from messages where xmin::text::bigint > {versions}"
        )
    count = len(happened)
    return {
        **{f"new_{name}": value for name, value in new.items()},
        **{f"duplicate_{name}": value for name, value in again.items()},
        "of_new": again["cpu_s_per_1000"] / new["cpu_s_per_1000"],
        "of_new_with_stores": sum(again.values()) / sum(new.values()),
        "new_wal_bytes": new_wal / count,
        "duplicate_wal_bytes": again_wal / count,
        "new_versions": rewritten,
    }


async def _cost(it: Running, sent: Sequence[Post], expected: int) -> tuple[Figures, float]:
    """Return the CPU seconds of 1,000 events, and the bytes of WAL that a load takes."""
    lsn, before = await rows.value(it.database, LSN), it.cpu()
    answers = await send(it.port, sent)
    await rows.arrived(it.database, expected)
    await _settled(it)
    spent = it.cpu().per_1000(before, figures.acked(answers))
    return spent, await rows.value(it.database, LSN) - lsn


async def _settled(it: Running) -> None:
    """Wait until its processes have nothing more to do."""
    before = -1.0
    while (now := it.cpu().own) - before > 0.02:
        before = now
        await asyncio.sleep(0.4)


async def _copy(source: str, target: str) -> float:
    """Copy the rows of one database into the tables and indexes of another; return seconds."""
    reading, writing = await asyncpg.connect(source), await asyncpg.connect(target)
    try:
        took = 0.0
        for table in ("messages", "conversations", "raw_events", "changes"):
            columns = await reading.fetchval(
                "select array_agg(attname::text) from pg_attribute where attrelid = $1::regclass"
                " and attnum > 0 and not attisdropped and attgenerated = ''",
                table,
            )
            copied = io.BytesIO()
            names = ", ".join(columns)
            query = f"select {names} from {table}"
            await reading.copy_from_query(query, output=copied, format="binary")
            copied.seek(0)
            began = time.perf_counter()
            await writing.copy_to_table(table, source=copied, columns=columns, format="binary")
            took += time.perf_counter() - began
        return took
    finally:
        await reading.close()
        await writing.close()
