"""The backlog's second place: the table `webhook_inbox`, for when Redis cannot take an entry."""

import asyncio
from datetime import timedelta

from shared.backlog import envelope
from shared.backlog.envelope import Entry
from shared.backlog.postgres import Pool, acquired

LEASE = timedelta(seconds=15)
"""A worker that neither finishes nor holds an entry this long is taken for dead."""

_AT_ONCE = 64
_BYTES_AT_ONCE = 16 << 20
_LOOK_AGAIN = 0.25  # seconds; an empty look costs a tenth of a millisecond

# Each statement takes the oldest rows it may have, up to a count and a size (always at least one).
_TAKE = """
with candidates as (
    select id, octet_length(entry) as size from webhook_inbox
    where {whose} order by id limit $2 for update skip locked
), chosen as (
    select id from (select id, size, sum(size) over (order by id) as through from candidates) c
    where through <= $3 or through = size
)
update webhook_inbox i
set claimed_by = $1, claimed_until = now() + $4, starts = starts + 1
from chosen where i.id = chosen.id
returning i.id, i.entry, i.starts
"""
_TAKE_NEW = _TAKE.format(whose="claimed_by is null")
_TAKE_OWN = _TAKE.format(whose="claimed_by = $1 and id <> all($5)")
_TAKE_STALE = _TAKE.format(whose="claimed_until < now() and id <> all($5)")


class Inbox:
    """The inbox as the ingress uses it. Every method raises Unavailable."""

    def __init__(self, pool: Pool, *, patience: float) -> None:
        self._pool = pool
        self._patience = patience

    async def append(self, packed: bytes) -> None:
        """Commit an entry."""
        async with acquired(self._pool, self._patience) as connection:
            await connection.execute("insert into webhook_inbox (entry) values ($1)", packed)

    async def ping(self) -> None:
        """Tell, by not raising, that entries can be appended."""
        async with acquired(self._pool, self._patience) as connection:
            await connection.execute("select from webhook_inbox limit 0")

    async def unapplied(self) -> tuple[int, timedelta | None]:
        """Return how many entries wait and the age of the oldest."""
        async with acquired(self._pool, self._patience) as connection:
            [row] = await connection.fetch(
                "select count(*) as waiting, now() - min(received_at) as age from webhook_inbox"
            )
        return row["waiting"], row["age"]


class InboxReader:
    """The inbox as a worker uses it, under the stable name of its `slot`.

    The same promises and methods as `StreamReader`: what a slot was given stays its own until
    acknowledged or until its lease ends. Every method raises Unavailable.
    """

    def __init__(self, pool: Pool, slot: str, *, patience: float = 5.0) -> None:
        self._pool = pool
        self._slot = slot
        self._patience = patience
        self._held: set[int] = set()

    async def read(self, max_entries: int, max_bytes: int, block_ms: int) -> list[Entry]:
        """Return entries nobody was given yet, waiting up to `block_ms` for the first."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + block_ms / 1000
        while True:
            entries = await self._take(_TAKE_NEW, max_entries, max_bytes)
            left = deadline - loop.time()
            if entries or left <= 0:
                return entries
            await asyncio.sleep(min(_LOOK_AGAIN, left))

    async def replay_pending(self) -> list[Entry]:
        """Return entries this slot was given and neither acknowledged nor holds; empty: no more."""
        return await self._take(_TAKE_OWN, _AT_ONCE, _BYTES_AT_ONCE, list(self._held))

    async def claim_stale(self) -> list[Entry]:
        """Return entries whose worker's lease has ended; empty: no more."""
        return await self._take(_TAKE_STALE, _AT_ONCE, _BYTES_AT_ONCE, list(self._held))

    def let_go(self) -> None:
        """Take no entry for held any more: who had them in hand has ended without an ending."""
        self._held.clear()

    async def hold(self, entries: list[Entry], *, forgive: bool = False) -> None:
        """Say that these are still being worked on, so that nobody claims them as stale.

        With `forgive` this delivery counts as their first: what went wrong is no fault of theirs.
        """
        async with acquired(self._pool, self._patience) as connection:
            await connection.execute(
                "update webhook_inbox set claimed_by = $1, claimed_until = now() + $2,"
                " starts = case when $3 then 1 else starts end where id = any($4)",
                self._slot,
                LEASE,
                forgive,
                [int(entry.id) for entry in entries],
            )

    async def ack(self, entries: list[Entry]) -> None:
        """Forget these: they are applied. Their items are in `raw_events`, so the rows go."""
        names = [int(entry.id) for entry in entries]
        async with acquired(self._pool, self._patience) as connection:
            await connection.execute("delete from webhook_inbox where id = any($1)", names)
        self._held.difference_update(names)

    async def _take(self, statement: str, *bounds: int | list[int]) -> list[Entry]:
        most, size, *held = bounds
        async with acquired(self._pool, self._patience) as connection:
            rows = await connection.fetch(statement, self._slot, most, size, LEASE, *held)
        self._held.update(row["id"] for row in rows)
        return [
            envelope.entry(str(row["id"]), row["entry"], row["starts"])
            for row in sorted(rows, key=lambda row: row["id"])
        ]
