"""The backlog's first place: a Redis Stream with one consumer group.

An entry stays until every worker is past it. `XACK` alone forgets nothing, and the stream is
trimmed by `MINID` behind whatever is not applied yet; `MAXLEN` would drop what nobody has read.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from shared.backlog import durability, envelope
from shared.backlog.durability import Durability
from shared.backlog.envelope import Entry
from shared.errors import Unavailable
from shared.redis import connect

KEY = "pagewire:backlog"
GROUP = "workers"
_FIELD = b"e"

REPLAYABLE_FOR = timedelta(hours=1)
REPLAYABLE_BYTES = 256 << 20
"""Applied entries stay this long or this large, whichever is less, for a Postgres without its tail:
the group is set back then, by hand. An unsent message leaves the stream with them."""

STALE_AFTER = timedelta(seconds=15)
"""A worker that neither acknowledges nor holds an entry this long is taken for dead."""

GONE_AFTER = timedelta(hours=1)
"""A worker that has not asked for entries this long does not come back under its name."""

# In one step: XGROUP DELCONSUMER would forget what the consumer was given in between, for ever.
_FORGET_GONE = """
local forgotten = 0
for _, found in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local consumer = {}
    for i = 1, #found, 2 do consumer[found[i]] = found[i + 1] end
    if consumer.pending == 0 and consumer.idle >= tonumber(ARGV[2]) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
        forgotten = forgotten + 1
    end
end
return forgotten
"""

LONGEST_BLOCK_MS = 5000
_LARGEST_EXPECTED = 1 << 20
_AT_ONCE = 64
_BYTES_AT_ONCE = 16 << 20

EntryId: TypeAlias = tuple[int, int]
"""Milliseconds by Redis's clock, and a number within the millisecond."""


def entry_id(text: str | bytes) -> EntryId:
    """Read Redis's `ms-number`."""
    ms, _, number = (text.decode() if isinstance(text, bytes) else text).partition("-")
    return int(ms), int(number or 0)


def _text(position: EntryId) -> str:
    return f"{position[0]}-{position[1]}"


class State(Struct, frozen=True, kw_only=True):
    """The stream as one look finds it.

    `run_id` names the server's process; `first` and `last` are the oldest entry it holds and the
    newest it ever took. `unapplied` counts the entries some group has not acknowledged.
    `fullness` is the part of its memory that Redis uses, 0 to 1.
    """

    run_id: str
    first: EntryId | None
    last: EntryId
    length: int
    unapplied: int
    oldest_unapplied: EntryId | None
    fullness: float

    def backlog_age(self, now_ms: int) -> timedelta:
        """Return how old the oldest unapplied entry is; zero when there is none."""
        if self.oldest_unapplied is None:
            return timedelta()
        return timedelta(milliseconds=max(0, now_ms - self.oldest_unapplied[0]))


class _Progress(Struct, frozen=True):
    first: EntryId | None
    last: EntryId
    length: int
    unapplied: int
    applied_before: EntryId


@contextmanager
def _answering() -> Iterator[None]:
    """Turn whatever Redis or the way to it does wrong into Unavailable."""
    try:
        yield
    except ResponseError as error:
        if str(error).startswith("WRONGTYPE"):
            raise Unavailable(
                f"The Redis key {KEY} is not a stream: something else wrote it. "
                "Rename or delete it; the backlog begins anew."
            ) from error
        raise Unavailable(f"Redis refuses: {error}") from error
    except (RedisError, OSError, TimeoutError) as error:
        raise Unavailable(f"Redis does not answer: {type(error).__name__}: {error}") from error


class Stream:
    """The stream as the ingress uses it. Every method raises Unavailable.

    To append and look, `redis` needs no more rights than XADD, XRANGE, XPENDING and XINFO on the
    one key, INFO, and CONFIG GET if the durability is to be told exactly.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._kept: list[AbstractConnection] = []

    async def append(self, packed: bytes) -> EntryId:
        """Add an entry; when this returns, Redis has it as safely as it is configured to.

        It is sent again when a connection kept since the last one turns out to be lost: Redis may
        have it twice then, to no effect.
        """
        with _answering():
            while True:
                kept = bool(self._kept)
                try:
                    return await self._append(packed)
                except RedisConnectionError:
                    if not kept:
                        raise

    async def _append(self, packed: bytes) -> EntryId:
        # On a connection kept for it: client and pool take longer over a command than Redis does.
        pool = self._redis.connection_pool
        connection = self._kept.pop() if self._kept else await pool.get_connection()
        try:
            await connection.send_command("XADD", KEY, "*", _FIELD, packed)
            position = entry_id(await connection.read_response())
        except BaseException:
            await connection.disconnect(nowait=True)
            await pool.release(connection)
            raise
        self._kept.append(connection)
        return position

    async def holds(self, position: EntryId) -> bool:
        """Tell whether the entry is (still) in the stream."""
        name = _text(position)
        with _answering():
            return bool(await self._redis.xrange(KEY, name, name, count=1))

    async def durability(self) -> Durability:
        """Tell how much of a crash what `append` returned survives."""
        with _answering():
            return await durability.measure(self._redis)

    async def state(self) -> State:
        """Look at server and stream."""
        with _answering():
            info = await self._redis.info("server", "memory")  # type: ignore[arg-type]
            progress = await self._progress()
            oldest = None
            if progress.unapplied:
                oldest = await self._first_from(progress.applied_before)
        return State(
            run_id=info["run_id"],
            first=progress.first,
            last=progress.last,
            length=progress.length,
            unapplied=progress.unapplied,
            oldest_unapplied=oldest,
            fullness=info["used_memory"] / (info["maxmemory"] or info["total_system_memory"]),
        )

    async def trim(self) -> int:
        """Drop applied entries that are too old or too many to keep; return how many.

        Nothing pending or undelivered goes, however old or large it is.
        """
        with _answering():
            progress = await self._progress()
            if progress.first is None:
                return 0
            seconds, _ = await self._redis.time()
            used = await self._redis.memory_usage(KEY, samples=100) or 0
            cutoff = seconds * 1000 - int(REPLAYABLE_FOR.total_seconds() * 1000)
            if used > REPLAYABLE_BYTES:
                # No command trims to a size, so cut the same part of the time the entries span:
                # under a steady load that is right at once, under any other after a few rounds.
                oldest, _ = progress.first
                span = seconds * 1000 - oldest
                cutoff = max(cutoff, oldest + int(span * (1 - REPLAYABLE_BYTES / used)) + 1)
            minid = min((cutoff, 0), progress.applied_before)
            trimmed: int = await self._redis.xtrim(KEY, minid=_text(minid), approximate=False)
        return trimmed

    async def forget_gone(self) -> int:
        """Drop the workers from the group that are gone and hold nothing; return how many.

        On hosts that get a new name with each start they would become more and more.
        """
        script = self._redis.register_script(_FORGET_GONE)
        idle_ms = int(GONE_AFTER.total_seconds() * 1000)
        with _answering():
            try:
                forgotten: int = await script(keys=[KEY], args=[GROUP, idle_ms])
            except ResponseError as error:
                if "NOGROUP" not in str(error) and "no such key" not in str(error):
                    raise
                return 0
        return forgotten

    async def _progress(self) -> _Progress:
        try:
            stream = await self._redis.xinfo_stream(KEY)
            groups = await self._redis.xinfo_groups(KEY)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
            return _Progress(None, (0, 0), 0, 0, (0, 0))
        length, entry = stream["length"], stream["first-entry"]
        first = entry_id(entry[0]) if entry else None
        last = entry_id(stream["last-generated-id"])
        if not groups:
            return _Progress(first, last, length, length, (0, 0))
        positions = [await self._position(group) for group in groups]
        return _Progress(
            first,
            last,
            length,
            max(length if count is None else count for count, _ in positions),
            min(before for _, before in positions),
        )

    async def _position(self, group: dict[str, Any]) -> tuple[int | None, EntryId]:
        """Return how many entries a group has not applied (None: unknown), and from where on."""
        pending = await self._redis.xpending(KEY, group["name"])
        unapplied = None if group["lag"] is None else group["lag"] + pending["pending"]
        if pending["pending"]:
            return unapplied, entry_id(pending["min"])
        ms, number = entry_id(group["last-delivered-id"])
        return unapplied, (ms, number + 1)

    async def _first_from(self, position: EntryId) -> EntryId | None:
        found = await self._redis.xrange(KEY, _text(position), "+", count=1)
        return entry_id(found[0][0]) if found else None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


class StreamReader:
    """The stream as a worker uses it, under the stable name of its `slot`.

    What a slot was given stays its own until acknowledged, so a worker that starts again under
    the same name first takes its own pending entries, and those of the dead every few seconds.
    Every method raises Unavailable; the next call starts afresh.
    """

    def __init__(self, url: str, slot: str) -> None:
        self._slot = slot
        self._redis = connect(url, size=4)
        # A connection of its own: one that blocks would hold up every other command.
        self._blocking = connect(url, size=1, timeout=LONGEST_BLOCK_MS / 1000 + 2)
        self._held: set[str] = set()
        self._typical_bytes = _LARGEST_EXPECTED

    async def read(self, max_entries: int, max_bytes: int, block_ms: int) -> list[Entry]:
        """Return entries nobody was given yet, waiting up to `block_ms` for the first.

        Redis counts entries, not bytes, so `max_bytes` is met by the sizes seen lately.
        """
        found = await self._grouped(
            self._blocking.xreadgroup,
            GROUP,
            self._slot,
            {KEY: ">"},
            count=self._room(max_entries, max_bytes),
            block=min(block_ms, LONGEST_BLOCK_MS) or None,
        )
        return [self._hold(name, fields, 1) for _, rows in found or [] for name, fields in rows]

    async def replay_pending(self) -> list[Entry]:
        """Return entries this slot was given and neither acknowledged nor holds; empty: no more."""
        return await self._take(0, self._slot)

    async def claim_stale(self) -> list[Entry]:
        """Return entries whose worker has not touched them for STALE_AFTER; empty: no more."""
        return await self._take(int(STALE_AFTER.total_seconds() * 1000))

    def let_go(self) -> None:
        """Take no entry for held any more: who had them in hand has ended without an ending."""
        self._held.clear()

    async def hold(self, entries: list[Entry], *, forgive: bool = False) -> None:
        """Say that these are still being worked on, so that nobody claims them as stale.

        With `forgive` this delivery counts as their first: what went wrong is no fault of theirs.
        """
        if not entries:
            return
        await self._grouped(
            self._redis.xclaim,
            *(KEY, GROUP, self._slot, 0, [entry.id for entry in entries]),
            retrycount=1 if forgive else None,
            justid=True,
        )

    async def ack(self, entries: list[Entry]) -> None:
        """Forget these: they are applied. They stay in the stream, replayable, until trimmed."""
        if not entries:
            return
        names = [entry.id for entry in entries]
        with _answering():
            await self._redis.xack(KEY, GROUP, *names)
        self._held.difference_update(names)

    async def aclose(self) -> None:
        """Close the connections; what is held stays pending under this slot."""
        await self._blocking.aclose()
        await self._redis.aclose()

    async def _take(self, idle_ms: int, slot: str | None = None) -> list[Entry]:
        # XAUTOCLAIM would do in one command, but it takes what we hold and tells no deliveries.
        deliveries = await self._pending(idle_ms, slot)
        names = list(deliveries)[: self._room(_AT_ONCE, _BYTES_AT_ONCE)]
        if not names:
            return []
        claimed = await self._grouped(self._redis.xclaim, KEY, GROUP, self._slot, idle_ms, names)
        return [self._hold(name, fields, deliveries[name] + 1) for name, fields in claimed if name]

    async def _pending(self, idle_ms: int, slot: str | None) -> dict[bytes, int]:
        """Return some pending entries that are not held here, with their deliveries so far."""
        start = b"-"
        while True:
            rows = await self._grouped(
                self._redis.xpending_range,
                *(KEY, GROUP, start, "+", _AT_ONCE, slot, idle_ms or None),
            )
            deliveries = {
                row["message_id"]: row["times_delivered"]
                for row in rows
                if row["message_id"].decode() not in self._held
            }
            if deliveries or len(rows) < _AT_ONCE:
                return deliveries
            start = b"(" + rows[-1]["message_id"]

    async def _grouped(
        self, command: Callable[..., Awaitable[Any]], *args: Any, **options: Any
    ) -> Any:
        """Run a command of the group; make the group where Redis has lost it."""
        with _answering():
            while True:
                try:
                    return await command(*args, **options)
                except ResponseError as error:
                    if not str(error).startswith(("NOGROUP", "UNBLOCKED")):
                        raise
                await self._create_group()

    async def _create_group(self) -> None:
        # From the first entry: what a vanished group had applied is applied again, to no effect.
        try:
            await self._redis.xgroup_create(KEY, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _room(self, max_entries: int, max_bytes: int) -> int:
        return max(1, min(max_entries, max_bytes // self._typical_bytes))

    def _hold(self, name: bytes, fields: dict[bytes, bytes], deliveries: int) -> Entry:
        # An entry without our field is somebody else's: keep all of it for a person to see.
        packed = fields.get(_FIELD)
        if packed is None:
            packed = msgspec.msgpack.encode(fields)
        found = envelope.entry(name.decode(), packed, deliveries)
        self._held.add(found.id)
        self._typical_bytes = max(found.size, self._typical_bytes * 3 // 4, 1)
        return found
