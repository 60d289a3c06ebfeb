"""Watches whether the Redis that takes our entries still has what we acknowledged."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ingress.webhook.ring import Ring
from shared import log, metrics
from shared.backlog.durability import Durability
from shared.backlog.stream import EntryId, State, Stream
from shared.backlog.witness import Gap

_log = log.get(__name__)

REMEMBERED = 10.0
"""Seconds an entry stays in the ring after Redis was seen to be the same. A Redis that lost more
than its last ten seconds is found out by the ring's edge."""

RING_BYTES = 32 << 20

MOST_UNAPPLIED = 200_000
"""Entries that may wait in the stream; further ones go to Postgres, or are refused."""

FULLEST = 0.8
"""The part of its memory Redis may use before further entries go to Postgres."""

LOOK_SECONDS = 0.8
"""A Redis that does not tell its state in this time does not answer; mending may take longer."""

_DURABILITY_EVERY = 5  # looks


class StreamWatch:
    """The stream, and the memory needed to notice and mend a Redis that came back without its tail.

    A `run_id` that changed, or a stream without the entries it had, is another stream: the whole
    ring is sent again, unconditionally (duplicates cost nothing), and whatever is older
    than the ring and not proven safe is reported as a gap to `suspect`.
    """

    def __init__(self, stream: Stream, suspect: Callable[[Gap], None], started_ms: int) -> None:
        self.durability: Durability | None = None
        self.unapplied, self.age = 0, timedelta()
        self._stream = stream
        self._suspect = suspect
        self._ring = Ring(RING_BYTES)
        self._last: State | None = None
        self._last_ms = started_ms
        self._looks = 0

    async def append(self, packed: bytes) -> None:
        """Add an entry to the stream and remember it."""
        position = await self._stream.append(packed)
        self._ring.add(position, packed, time.monotonic())

    async def look(self) -> str | None:
        """Look at server and stream, mend what is to be mended; return why not to use it, if so."""
        began, began_ms = time.monotonic(), time.time_ns() // 1_000_000
        async with asyncio.timeout(LOOK_SECONDS):
            state = await self._stream.state()
        if self._last and _is_another(state, self._last):
            await self._mend(self._last)
            state = await self._stream.state()
            self.durability = None
        self._ring.forget(began - REMEMBERED)
        self._last, self._last_ms = state, began_ms
        self.unapplied, self.age = state.unapplied, state.backlog_age(began_ms)
        if self.durability is None or self._looks % _DURABILITY_EVERY == 0:
            await self._judge()
        self._looks += 1
        return self._unfit(state)

    async def _mend(self, last: State) -> None:
        """Send the ring again, and report what it cannot prove to be still there."""
        edge = self._ring.edge
        safe = edge is None or _was_applied(edge, last) or await self._stream.holds(edge)
        sent = [(acked, await self._stream.append(acked.packed)) for acked in self._ring.entries()]
        self._ring.renew(sent, time.monotonic())
        metrics.backlog_resent.inc(len(sent))
        _log.warning("redis_is_another", entries_sent_again=len(sent), proven_safe=safe)
        if not safe:
            since_ms = last.oldest_unapplied[0] if last.oldest_unapplied else self._last_ms
            self._suspect(
                Gap(
                    cause="redis_lost_entries",
                    from_at=datetime.fromtimestamp(since_ms / 1000, UTC),
                    until_at=datetime.now(UTC),
                )
            )

    async def _judge(self) -> None:
        found = await self._stream.durability()
        if found != self.durability and found.level < 3:
            _log.warning("weak_durability", level=found.level, reason=found.why)
        self.durability = found

    def _unfit(self, state: State) -> str | None:
        if self.durability and self.durability.evicts:
            return self.durability.why
        if state.fullness > FULLEST:
            return f"Redis uses {state.fullness:.0%} of the memory it may use"
        if state.unapplied > MOST_UNAPPLIED:
            return f"{state.unapplied} entries wait to be applied: no worker keeps up"
        return None


def _is_another(state: State, last: State) -> bool:
    """Tell whether this is not the stream of the last look: a new server, or begun anew."""
    begun_anew = last.first is not None and (state.first is None or state.first > last.last)
    return state.run_id != last.run_id or begun_anew


def _was_applied(position: EntryId, last: State) -> bool:
    """Tell whether the last look found an entry, and all before it, applied."""
    return position <= last.last and (
        last.oldest_unapplied is None or position < last.oldest_unapplied
    )
