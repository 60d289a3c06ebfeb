"""The loads, each on fresh tables."""

import asyncio
import io
import time
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
from msgspec import Struct

from shared.redis import connect
from shared.store.migrate import migrate
from tests.bench import figures
from tests.bench.figures import Figures
from tests.bench.follower import Row, following, visible
from tests.bench.sender import send
from tests.bench.systems import BARE, OURS, PEERS, UNSTORED, Running, Servers, System
from tests.bench.traffic import Post, events, posts

WARM = 200
"""Events before the measured ones: processes start, connections open, statements are prepared."""


LIMITS = System("Valkey and PostgreSQL", [])
STORED = (
    "select sum(pg_total_relation_size(oid))::bigint from pg_class"
    " where relnamespace = 'public'::regnamespace and relkind = 'r'"
)
"""How many bytes all tables take, with what belongs to them."""


class Size(Struct, frozen=True):
    """How long and how much: whole or short."""

    seconds: float
    rates: tuple[int, ...]
    our_rates: tuple[int, ...]
    connections: tuple[int, ...]
    backlog: int
    stored: int
    idle: float


WHOLE = Size(6, (50, 200, 600), (1000, 2500), (1, 16, 64, 256), 100_000, 30_000, 60)
SHORT = Size(3, (200,), (1000,), (64,), 20_000, 10_000, 5)


class Case(Struct, frozen=True):
    """One load on one system."""

    load: str
    system: System
    run: Callable[[], Awaitable[Figures]]


def cases(servers: Servers, systems: Sequence[System], size: Size) -> list[Case]:
    """Return every load on every system that takes it."""

    def case(load: str, system: System, run: Callable[..., Awaitable[Figures]], *more: object):
        return Case(load, system, lambda: run(servers, system, size, *more))

    made = [
        case(f"ack, {connections} connections", system, ack, connections)
        for connections in size.connections
        for system in (OURS, UNSTORED, BARE)
    ]
    made.append(case("ack, 64 connections, 2 processes", OURS, ack, 64, "2"))
    for rate in size.rates:
        made += [case(f"{rate} events/s", system, steady, rate) for system in systems]
    made += [case(f"{rate} events/s", OURS, steady, rate) for rate in size.our_rates]
    hot = systems if size is WHOLE else [OURS]
    made += [case("one conversation, 100/s", system, steady, 100, True) for system in hot]
    made.append(case("one conversation, 500/s", OURS, steady, 500, True))
    made += [case(f"backlog, {n} worker(s)", OURS, backlog, n) for n in (1, 2)]
    made += [case("stored, 1 event a POST", system, stored, 1) for system in systems]
    made += [case(f"stored, {each:,} events a POST", OURS, stored, each) for each in (10, 1000)]
    made += [case("50 % duplicates", OURS, duplicates), case("idle", OURS, idle)]
    made.append(Case("limits", LIMITS, lambda: limits(servers)))
    return made


async def ack(
    servers: Servers, system: System, size: Size, connections: int, processes: str = "1"
) -> Figures:
    """Only the answers, as many as the connections bring; no worker takes part of the machine."""
    count = int(size.seconds * (500 if connections < 16 else 1500))
    async with system.running(servers, INGRESS_PROCESSES=processes) as it:
        await send(it.port, posts(events(WARM, seed=1)), connections=connections)
        return figures.acks(await send(it.port, posts(events(count)), connections=connections))


async def steady(
    servers: Servers, system: System, size: Size, rate: int, hot: bool = False
) -> Figures:
    """So many events a second, whether or not they are answered."""
    async with system.running(servers) as it:
        await _warm(it)
        happened = events(int(rate * size.seconds), hot=hot)
        before = it.cpu_seconds()
        async with following(it.database) as snapshots:
            answers = await send(it.port, posts(happened), rate)
            rows = await _rows(it, WARM + len(happened))
        cpu = 1000 * (it.cpu_seconds() - before) / len(happened)
    return {
        **figures.acks(answers),
        **figures.visible(answers, visible(rows, snapshots), happened),
        "cpu_s_per_1000": cpu,
    }


async def stored(servers: Servers, system: System, size: Size, each: int) -> Figures:
    """As many events as 64 connections bring, until the last is committed."""
    count = size.stored * (2 if each > 1 else 1) // (1 if system is OURS else 20)
    async with system.running(servers) as it:
        await _warm(it)
        answers = await send(it.port, posts(events(count), each))
        rows = await _rows(it, WARM + count)
    return {
        **figures.acks(answers),
        "events_per_s": figures.stored_per_s(answers, {row.mid: row.committed for row in rows}),
        "lost": WARM + count - len(rows),
    }


async def backlog(servers: Servers, system: System, size: Size, workers: int) -> Figures:
    """What was acknowledged while no worker ran; then raw COPY of the rows that became of it."""
    async with system.running(servers) as it:
        answers = await send(it.port, posts(events(size.backlog), 10))
        it.start_workers(workers)
        times = [row.committed for row in await _rows(it, size.backlog)]
        stored = await _value(it.database, STORED)
        indexes = await _value(it.database, "select pg_indexes_size('messages')")
    rate = len(times) / (max(times) - min(times))
    copied = size.backlog / await _copy(it.database, await servers.fresh("bench_copy"))
    return {
        "events_per_s": rate,
        "copy_per_s": copied,
        "of_copy": rate / copied,
        "stored_bytes": stored / len(times),
        "index_bytes": indexes / len(times),
        "lost": sum(len(a.mids) for a in answers if a.status == 200) - len(times),
    }


async def duplicates(servers: Servers, system: System, size: Size) -> Figures:
    """Every event twice, packed otherwise the second time, so that no body comes again."""
    happened = events(size.stored)
    async with system.running(servers) as it:
        await _warm(it)
        new, new_wal = await _cost(it, posts(happened, 10), WARM + len(happened))
        versions = await _value(it.database, "select max(xmin::text::bigint) from messages")
        again, again_wal = await _cost(it, posts(happened[::-1], 10), WARM + len(happened))
        rewritten = await _value(
            it.database, f"select count(*) from messages where xmin::text::bigint > {versions}"
        )
    count = len(happened)
    return {
        "new_cpu_us": 1e6 * new / count,
        "duplicate_cpu_us": 1e6 * again / count,
        "of_new": again / new,
        "new_wal_bytes": new_wal / count,
        "duplicate_wal_bytes": again_wal / count,
        "new_versions": rewritten,
    }


async def idle(servers: Servers, system: System, size: Size) -> Figures:
    """Nothing happens; what it costs."""
    async with system.running(servers) as it:
        await _warm(it)
        await asyncio.sleep(2)
        commands, before = await _redis_commands(servers), it.cpu_seconds()
        await asyncio.sleep(size.idle)
        cpu, commands = it.cpu_seconds() - before, await _redis_commands(servers) - commands
        return {"cpu_percent": 100 * cpu / size.idle, "redis_commands_per_s": commands / size.idle}


async def limits(servers: Servers) -> Figures:
    """What the servers can do at best: entries appended, rows upserted, one after the other."""
    redis = connect(servers.redis)
    connection = await asyncpg.connect(await servers.fresh("bench"))
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


async def _warm(it: Running) -> None:
    it.start_workers()
    await send(it.port, posts(events(WARM, seed=1)))
    await _rows(it, WARM)


async def _rows(it: Running, expected: int) -> list[Row]:
    """Wait for so many messages, or for no more to come; return them."""
    connection = await asyncpg.connect(it.database)
    try:
        found, moved = 0, time.monotonic()
        while found < expected and time.monotonic() - moved < 10:
            await asyncio.sleep(0.2)
            now = await connection.fetchval("select count(*) from messages")
            if now != found:
                found, moved = now, time.monotonic()
        rows = await connection.fetch(
            "select mid, xmin::text::bigint,"
            " extract(epoch from pg_xact_commit_timestamp(xmin))::float8 from messages"
        )
        return [Row(*row) for row in rows]
    finally:
        await connection.close()


async def _cost(it: Running, sent: Sequence[Post], expected: int) -> tuple[float, float]:
    """Return the worker's CPU seconds and the bytes of WAL that a load takes."""
    lsn = await _value(it.database, "select pg_current_wal_insert_lsn() - '0/0'")
    before = it.cpu_seconds()
    await send(it.port, sent)
    await _rows(it, expected)
    await _settled(it)
    after = await _value(it.database, "select pg_current_wal_insert_lsn() - '0/0'")
    return it.cpu_seconds() - before, after - lsn


async def _settled(it: Running) -> None:
    """Wait until its processes have nothing more to do."""
    before = -1.0
    while (now := it.cpu_seconds()) - before > 0.02:
        before = now
        await asyncio.sleep(0.4)


async def _value(database: str, sql: str) -> float:
    connection = await asyncpg.connect(database)
    try:
        return float(await connection.fetchval(sql))
    finally:
        await connection.close()


async def _copy(source: str, target: str) -> float:
    """Copy the rows of one database into the tables and indexes of another; return seconds."""
    await migrate(target)
    reading, writing = await asyncpg.connect(source), await asyncpg.connect(target)
    try:
        took = 0.0
        for table in ("messages", "conversations", "raw_events", "changes"):
            columns = await reading.fetchval(
                "select array_agg(attname::text) from pg_attribute where attrelid = $1::regclass"
                " and attnum > 0 and not attisdropped and attgenerated = ''",
                table,
            )
            rows = io.BytesIO()
            names = ", ".join(columns)
            query = f"select {names} from {table}"
            await reading.copy_from_query(query, output=rows, format="binary")
            rows.seek(0)
            began = time.perf_counter()
            await writing.copy_to_table(table, source=rows, columns=columns, format="binary")
            took += time.perf_counter() - began
        return took
    finally:
        await reading.close()
        await writing.close()
