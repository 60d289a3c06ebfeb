"""What the ingresses write down about themselves: that they live, and what may be missing."""

from datetime import datetime, timedelta

from msgspec import Struct

from shared.backlog.postgres import Pool, acquired

SILENCE = timedelta(seconds=30)
"""With no sign of any ingress for this long (three heartbeats), Facebook found nobody."""

_MARGIN = timedelta(seconds=60)  # a delivery may have been refused a while before the last sign
_KEEP = timedelta(days=30)
# Any constant will do, so long as nothing else in the database takes the same advisory lock.
_LOCK = 7_241_932_015


class Gap(Struct, frozen=True, kw_only=True):
    """A time of which nobody can prove that every event arrived, for all Pages."""

    cause: str
    from_at: datetime
    until_at: datetime


class Testament(Struct, frozen=True):
    """What a boot had acknowledged when it ended, as a multirange, and how many seconds ago."""

    ingress: str
    boot: str
    acked: str
    age: float


class Witness:
    """One boot of one ingress, as it is written down. Every method raises Unavailable."""

    def __init__(self, pool: Pool, ingress: str, boot: str, *, patience: float) -> None:
        self._pool = pool
        self._ingress = ingress
        self._boot = boot
        self._patience = patience

    async def arrive(self, up_for: timedelta) -> Gap | None:
        """Note this boot, `up_for` old; return the gap before it, if there was one (recorded).

        A gap is a time without any ingress; the first of several that start together records it.
        """
        async with acquired(self._pool, self._patience) as connection, connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
            [row] = await connection.fetch(
                "select now() - $1::interval as started_at, max(seen_at) as seen_at"
                " from ingress_boots",
                up_for,
            )
            started_at, seen_at = row["started_at"], row["seen_at"]
            await connection.execute(
                "insert into ingress_boots (ingress, boot, started_at) values ($1, $2, $3)"
                " on conflict (ingress, boot) do nothing",
                self._ingress,
                self._boot,
                started_at,
            )
            await connection.execute(
                "delete from ingress_boots where seen_at < now() - $1::interval", _KEEP
            )
            if seen_at is None or started_at - seen_at < SILENCE:
                return None
            gap = Gap(cause="no_ingress", from_at=seen_at - _MARGIN, until_at=started_at)
            await connection.execute(_RECORD, *self._row(gap))
            return gap

    async def beat(self, acked: str) -> None:
        """Say that this ingress lives and, as a Postgres multirange, what it acknowledged."""
        async with acquired(self._pool, self._patience) as connection:
            await connection.execute(
                "update ingress_boots set seen_at = now(), acked = $3::text::int8multirange"
                " where ingress = $1 and boot = $2",
                self._ingress,
                self._boot,
                acked,
            )

    async def bequeath(self, left: Testament) -> None:
        """Write down what a boot acknowledged after its last heartbeat."""
        async with acquired(self._pool, self._patience) as connection:
            await connection.execute(
                "insert into ingress_boots as old (ingress, boot, started_at, seen_at, acked)"
                " select $1, $2, at, at, $3::text::int8multirange"
                " from (select now() - $4::interval as at) as ended"
                " on conflict (ingress, boot) do update set acked = old.acked + excluded.acked",
                left.ingress,
                left.boot,
                left.acked,
                timedelta(seconds=max(0, left.age)),
            )

    async def record(self, gap: Gap) -> None:
        """Write down a gap; the Pages concerned are read again from before it."""
        async with acquired(self._pool, self._patience) as connection:
            await connection.execute(_RECORD, *self._row(gap))

    def _row(self, gap: Gap) -> tuple[str, str, datetime, datetime]:
        return gap.cause, self._ingress, gap.from_at, gap.until_at


_RECORD = "insert into gaps (cause, ingress, from_at, until_at) values ($1, $2, $3, $4)"
