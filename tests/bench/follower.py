"""When rows became visible to readers, seen from outside: `python -m tests.bench.follower DSN`.

Postgres' own commit time is from before the commit waits for the disk. The follower looks every
millisecond which transactions are visible, at the same cost for everybody: within Postgres, because
a client that asked so often would take a quarter of a processor from what is measured.
"""

import asyncio
import contextlib
import sys
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable

import asyncpg
from msgspec import Struct

# COMMIT lets go of what was seen: nobody's old rows are kept from being tidied up meanwhile.
LOOK = """
do $$
declare
    last text = '';
    seen text;
begin
    loop
        seen = pg_current_snapshot()::text;
        if seen <> last then
            last = seen;
            raise info '% %', extract(epoch from clock_timestamp()), seen;
        end if;
        commit;
        perform pg_sleep(0.001);
    end loop;
end $$
"""


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
    connection, seen = await asyncpg.connect(database), []
    connection.add_log_listener(lambda _, told: seen.append(told.message))
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(connection.get_server_pid(), flush=True)
    looking = asyncio.create_task(connection.execute(LOOK))
    await asyncio.wait([looking, ended], return_when=asyncio.FIRST_COMPLETED)
    connection.terminate()
    await asyncio.gather(looking, return_exceptions=True)
    print("\n".join(seen))


if __name__ == "__main__":
    asyncio.run(_follow(sys.argv[1]))
