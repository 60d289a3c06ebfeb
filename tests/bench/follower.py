"""When rows became visible to readers, seen from outside: `python -m tests.bench.follower DSN`.

Postgres' own commit time is from before the commit waits for the disk. The follower is a process
that asks every millisecond which transactions are visible, at the same cost for everybody.
"""

import asyncio
import contextlib
import sys
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable

import asyncpg
from msgspec import Struct

EVERY = 0.001


class Row(Struct, frozen=True):
    """A stored message: its mid, its transaction, and when that began to commit."""

    mid: str
    xid: int
    committed: float


class Snapshot(Struct, frozen=True):
    """What a reader saw at a time: all below `end` but those in progress."""

    at: float
    end: int
    in_progress: frozenset[int]

    def sees(self, xid: int) -> bool:
        return xid < self.end and xid not in self.in_progress


class Follower(Struct, frozen=True):
    """The pid of the PostgreSQL process that is asked, and what it answered, once it is over."""

    backend: int
    snapshots: list[Snapshot]


@contextlib.asynccontextmanager
async def following(database: str) -> AsyncIterator[Follower]:
    """Follow within the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.follower", database),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    follower = Follower(int(await process.stdout.readline()), [])
    try:
        yield follower
    finally:
        told, _ = await process.communicate(b"")  # the end of its input is the end of its work
        follower.snapshots.extend(map(_snapshot, told.decode().splitlines()))


def visible(rows: Iterable[Row], snapshots: list[Snapshot]) -> dict[str, float]:
    """Return when each mid was first seen; one never seen is left out."""
    times = [snapshot.at for snapshot in snapshots]
    first: dict[int, float] = {}
    seen: dict[str, float] = {}
    for row in rows:
        if row.xid not in first:
            after = snapshots[bisect_left(times, row.committed) :]
            at = next((one.at for one in after if one.sees(row.xid)), None)
            if at is None:
                continue
            first[row.xid] = at
        seen[row.mid] = first[row.xid]
    return seen


def _snapshot(line: str) -> Snapshot:
    at, text = line.split()
    _, end, in_progress = text.split(":")
    return Snapshot(float(at), int(end), frozenset(map(int, filter(None, in_progress.split(",")))))


async def _follow(database: str) -> None:
    connection = await asyncpg.connect(database)
    ask = await connection.prepare("select pg_current_snapshot()::text")
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(connection.get_server_pid(), flush=True)
    last, seen = "", []
    while not ended.done():
        if (snapshot := await ask.fetchval()) != last:
            last = snapshot
            seen.append(f"{time.time()} {snapshot}")
        await asyncio.sleep(EVERY)
    print("\n".join(seen))
    await connection.close()


if __name__ == "__main__":
    asyncio.run(_follow(sys.argv[1]))
