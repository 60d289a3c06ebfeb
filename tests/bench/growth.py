"""`python -m tests.bench.growth [MILLIONS …]`: what a table that grows does to writes and reads.

Seeds the messages by COPY, 0.5, 1 and 5 millions of them, and measures at each size on the same
tables: events stored a second, post to visible row, a Page's list, one conversation's messages,
the worker's memory, and the bytes of a message. Prints a table.
"""

import asyncio
import base64
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg

from deploy.local import servers as local
from shared.ids import conversation_id
from shared.store import reading
from shared.store.database import Database
from shared.store.reading import Wanted
from tests.bench import figures
from tests.bench.__main__ import KEPT, track_commits
from tests.bench.figures import Figures
from tests.bench.follower import Row, following, visible
from tests.bench.sender import send
from tests.bench.systems import OURS, Running, Servers
from tests.bench.traffic import PAGES, WORDS, events, posts

EACH = 50
"""Messages in a seeded conversation."""

MESSAGE = [
    *("page_id", "mid", "platform", "participant_id", "direction", "kind", "source"),
    *("source_rank", "sent_ms", "sent_exact", "text", "text_as_of_ms", "text_num_edit"),
    "text_rank",
]
CONVERSATION = ["page_id", "participant_id", "id", "platform", "last_sent_ms", "last_in_ms"]
STORED, STEADY, ASKED = 20_000, 200, 400

_STORED = "select count(*) from messages where page_id = any($1) and mid = $2"
_ROWS = (
    "select mid, xmin::text::bigint, extract(epoch from pg_xact_commit_timestamp(xmin))::float8"
    " from messages where page_id = any($1) and mid = any($2)"
)


def main() -> None:
    sizes = [int(1e6 * float(text)) for text in sys.argv[1:] or ("0.5", "1", "5")]
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="pagewire-growth-")))
        folder.chmod(0o755)
        with local.postgres(folder) as postgres:
            asyncio.run(track_commits(postgres))
        KEPT.mkdir(parents=True, exist_ok=True)
        servers = Servers(
            opened.enter_context(local.postgres(folder)),
            opened.enter_context(local.redis(folder)),
            KEPT,
        )
        found = asyncio.run(_grow(servers, sizes))
    names = list(found[0])
    print("| messages | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for size, measured in zip(sizes, found, strict=True):
        print(f"| {size:,} | " + " | ".join(f"{measured[name]:,.1f}" for name in names) + " |")


async def _grow(servers: Servers, sizes: list[int]) -> list[Figures]:
    found, seeded = [], 0
    async with OURS.running(servers) as it:
        it.start_workers()
        await _store(it, 200, 1)
        for number, size in enumerate(sizes):
            await _seed(it.database, seeded, size)
            seeded = size
            found.append(await _measure(it, number, size))
            print(f"{size:,}: {found[-1]}", file=sys.stderr)
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
    async with following(it.database) as snapshots:
        steady = await send(it.port, posts(happened), STEADY)
        seen = await _rows(it.database, [event.mid for event in happened])
    reads = await _reads(it.database, size)
    return {
        "stored a second": figures.stored_per_s(answers, {row.mid: row.committed for row in rows}),
        "visible p99, ms": figures.visible(steady, visible(seen, snapshots), happened)[
            "visible_p99_ms"
        ],
        **reads,
        "worker, MB": _resident_mb(it.workers[0].pid),
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
            "list p99, ms": await _p99(
                [
                    lambda page=page: reading.conversations(
                        store, [page], Wanted(), after=None, limit=25
                    )
                    for page, _ in owners
                ]
            ),
            "thread p99, ms": await _p99(
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
    took = []
    for ask in asks:
        began = time.perf_counter()
        await ask()
        took.append(1000 * (time.perf_counter() - began))
    return figures.percentile(took, 99)


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def _bytes(database: str) -> Figures:
    connection = await asyncpg.connect(database)
    try:
        [row] = await connection.fetch(
            "select pg_table_size('messages')::float8 / count(*),"
            " pg_indexes_size('messages')::float8 / count(*) from messages"
        )
        return {"table bytes a message": row[0], "index bytes a message": row[1]}
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
