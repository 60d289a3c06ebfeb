"""`python -m tests.bench.growth [MILLIONS …]`: what a table that grows does to writes and reads.

Seeds the messages by COPY, 0.5, 1 and 5 millions of them, and measures at each size on the same
tables: events stored a second, post to visible row, a Page's list, one conversation's messages,
the worker's memory, and the bytes of a message. Keeps the figures beside those of the benchmark.
"""

import asyncio
import base64
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import asyncpg

from deploy.check import targets
from deploy.check.figures import growth
from shared.ids import conversation_id
from shared.store import reading
from shared.store.database import Database
from shared.store.reading import Wanted
from tests.bench import figures, report
from tests.bench.figures import Figures
from tests.bench.follower import Row, following, visible
from tests.bench.loads.rows import ROWS
from tests.bench.processes import resident_mb
from tests.bench.sender import send
from tests.bench.servers import Servers, opened
from tests.bench.systems import OURS, Running
from tests.bench.traffic import PAGES, WORDS, events, posts

EACH = 50
"""Messages in a seeded conversation."""

MESSAGE = [
    *("page_id", "mid", "platform", "participant_id", "direction", "kind", "source"),
    *("source_rank", "sent_ms", "sent_exact", "text", "text_as_of_ms", "text_num_edit"),
    "text_rank",
]
CONVERSATION = ["page_id", "participant_id", "id", "platform", "last_sent_ms", "last_in_ms"]
STORED, STEADY, ASKED = 40_000, 200, 2000

_STORED = "select count(*) from messages where page_id = any($1) and mid = $2"
_ROWS = f"{ROWS} where page_id = any($1) and mid = any($2)"


def main() -> None:
    sizes = [int(1e6 * float(text)) for text in sys.argv[1:] or ("0.5", "1", "5")]
    began = time.monotonic()
    with opened() as servers:
        machine = asyncio.run(report.machine(servers))
        found = asyncio.run(_grow(servers, sizes))
    machine["it took"] = f"{(time.monotonic() - began) / 60:.1f} minutes"
    rounds = {(f"growth, {size:,} messages", OURS.name): [each] for size, each in found.items()}
    measured = report.kept("growth", machine, rounds)
    print(growth(measured), targets.measured(measured), sep="\n")


async def _grow(servers: Servers, sizes: list[int]) -> dict[int, Figures]:
    found: dict[int, Figures] = {}
    seeded = 0
    async with OURS.running(servers) as it:
        it.start_workers()
        await _store(it, 200, 1)
        for number, size in enumerate(sizes):
            began = time.monotonic()
            await _seed(it.database, seeded, size)
            seeded = size
            print(f"{size:,} messages seeded in {time.monotonic() - began:.0f} s", file=sys.stderr)
            found[size] = await _measure(it, number, size)
            print(f"{size:,}: {found[size]}", file=sys.stderr)
    return found


async def _seed(database: str, begin: int, end: int) -> None:
    connection = await asyncpg.connect(database)
    try:
        for table, rows, columns in (
            ("messages", _messages(begin, end), MESSAGE),
            ("conversations", _conversations(begin, end), CONVERSATION),
        ):
            await connection.copy_records_to_table(table, records=rows, columns=columns)
        await connection.execute("select merge_new_words()")
        await connection.execute("vacuum analyze messages, conversations")
        await connection.execute("checkpoint")
    finally:
        await connection.close()


def _owner(number: int) -> tuple[str, str]:
    return PAGES[number // EACH % len(PAGES)], f"{5_000_000_000_000_000 + number // EACH}"


def _messages(begin: int, end: int) -> Iterator[tuple[Any, ...]]:
    dice, now = random.Random(begin), time.time_ns() // 1_000_000
    for number in range(begin, end):
        page, person = _owner(number)
        mid = "m_" + base64.urlsafe_b64encode(dice.randbytes(81)).decode()
        sent, text = now - (end - number) * 1000, " ".join(dice.choices(WORDS, k=12))
        yield (
            *(page, mid, "messenger", person, "in", "message", "message"),
            *(60, sent, True, text, sent, 0, 60),
        )


def _conversations(begin: int, end: int) -> Iterator[tuple[Any, ...]]:
    now = time.time_ns() // 1_000_000
    for number in range(begin, end, EACH):
        page, person = _owner(number)
        sent = now - (end - number) * 1000
        yield page, person, conversation_id(page, person), "messenger", sent, sent


async def _measure(it: Running, number: int, size: int) -> Figures:
    happened = events(STEADY * 5, seed=2 * number + 2)
    answers = await _store(it, STORED, 2 * number + 3, each=10)
    mids = [mid for answer in answers for mid in answer.mids]
    rows = await _rows(it.database, mids)
    async with following(it.database) as follower:
        steady = await send(it.port, posts(happened), STEADY)
        seen = await _rows(it.database, [event.mid for event in happened])
    reads = await _reads(it.database, size)
    return {
        "events_per_s": figures.stored_per_s(answers, {row.mid: row.committed for row in rows}),
        "visible_p99_ms": figures.visible(steady, visible(seen, follower.snapshots), happened)[
            "visible_p99_ms"
        ],
        **reads,
        "worker_mb": resident_mb(it.workers[0].pid),
        **await _bytes(it.database),
    }


async def _store(it: Running, count: int, seed: int, each: int = 1) -> list[Any]:
    answers = await send(it.port, posts(events(count, seed=seed), each))
    await _rows(it.database, [mid for answer in answers for mid in answer.mids])
    return answers


async def _rows(database: str, mids: list[str]) -> list[Row]:
    """Wait until all of these messages are stored; return them. Asking for the last is cheap."""
    connection = await asyncpg.connect(database, server_settings={"enable_seqscan": "off"})
    rows: list[Any] = []
    try:
        async with asyncio.timeout(120):
            while not await connection.fetchval(_STORED, PAGES, mids[-1]):
                await asyncio.sleep(0.05)
            while len(rows) < len(mids):
                await asyncio.sleep(0.5)
                rows = await connection.fetch(_ROWS, PAGES, mids)
        return [Row(*row) for row in rows]
    finally:
        await connection.close()


async def _reads(database: str, size: int) -> Figures:
    store, dice = Database(database), random.Random(7)
    owners = [_owner(dice.randrange(size)) for _ in range(ASKED)]
    try:
        return {
            "list_p99_ms": await _p99(
                [
                    lambda page=page: reading.conversations(
                        store, [page], Wanted(), after=None, limit=25
                    )
                    for page, _ in owners
                ]
            ),
            "thread_p99_ms": await _p99(
                [
                    lambda owner=owner: reading.messages(
                        store, None, conversation_id(*owner), after=None, limit=25
                    )
                    for owner in owners
                ]
            ),
        }
    finally:
        await store.close()


async def _p99(asks: list[Callable[[], Awaitable[Any]]]) -> float:
    """Ask one after the other; the first tenth opens connections and prepares statements."""
    took = []
    for ask in asks:
        began = time.perf_counter()
        await ask()
        took.append(1000 * (time.perf_counter() - began))
    return figures.percentile(took[len(took) // 10 :], 99)


async def _bytes(database: str) -> Figures:
    connection = await asyncpg.connect(database)
    try:
        [row] = await connection.fetch(
            "select pg_table_size('messages')::float8 / count(*),"
            " pg_indexes_size('messages')::float8 / count(*) from messages"
        )
        return {"table_bytes": row[0], "index_bytes": row[1]}
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
