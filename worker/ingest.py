"""The loop from the backlog to the tables: read, parse, reduce, commit, tell, forget.

A reader and two writers with a short queue between them: while writers are busy, what waits in
the queue is written as one batch, so that batches grow with the load and nothing waits when idle.
Crash-only: whatever goes wrong ends the loop, its supervisor starts it again, and what was read
but not acknowledged is read again.
"""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from msgspec import Struct

from shared import log, metrics
from shared.backlog.envelope import Entry
from shared.errors import Unavailable
from shared.events import Item, Rejected, Unsend
from shared.facebook import webhook
from shared.store.applying import Applied, apply
from shared.store.database import Database, is_refusal, is_transient
from shared.store.pages import KnownPages
from shared.store.rows import Batch, DeadLetter, RawRow
from worker import merge
from worker.effects import Effects

_log = log.get(__name__)

# An item writes at most a message, a conversation and a raw row: this keeps a transaction under
# 1,000 rows, and its part of the latency at about 20 ms.
MAX_ITEMS = 300
READ_ENTRIES = 64
READ_BYTES = 4 * 1024 * 1024
CLAIM_EVERY = 2.0


class Backlog(Protocol):
    """A durable log of acknowledged webhooks: the stream, or the inbox in Postgres."""

    async def replay_pending(self) -> list[Entry]: ...
    async def read(self, max_entries: int, max_bytes: int, block_ms: int) -> list[Entry]: ...
    async def claim_stale(self) -> list[Entry]: ...
    async def hold(self, entries: list[Entry], *, forgive: bool = False) -> None: ...
    async def ack(self, entries: list[Entry]) -> None: ...


class Told(Struct, frozen=True):
    """One parsed item and when the ingress received it."""

    received_ms: int
    what: Item | Rejected


class Ingest:
    """Drains one backlog into the tables; many may run at once, here and elsewhere."""

    def __init__(
        self, backlog: Backlog, database: Database, pages: KnownPages, effects: Effects
    ) -> None:
        self._backlog = backlog
        self._database = database
        self._pages = pages
        self._effects = effects

    async def run(self, stop: asyncio.Event) -> None:
        """Ingest until `stop` is set, then finish what was read; raises what went wrong."""
        waiting: asyncio.Queue[list[Entry] | None] = asyncio.Queue(maxsize=2)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(waiting, stop), name="ingest-read")
            # Two writers keep Postgres and Python busy at once; more only wait for each other.
            for number in range(2):
                tasks.create_task(self._write_all(waiting), name=f"ingest-write-{number}")

    async def drain(self) -> int:
        """Ingest what lies in the backlog now and return how many entries that were."""
        done = 0
        while entries := await self._backlog.read(READ_ENTRIES, READ_BYTES, 0):
            await self.ingest(entries)
            done += len(entries)
        return done

    async def _read(self, waiting: asyncio.Queue[list[Entry] | None], stop: asyncio.Event) -> None:
        while entries := await self._backlog.replay_pending():
            await waiting.put(entries)
        claimed = time.monotonic()
        while not stop.is_set():
            if time.monotonic() - claimed >= CLAIM_EVERY:
                claimed = time.monotonic()
                if stale := await self._backlog.claim_stale():
                    await waiting.put(stale)
            if entries := await self._backlog.read(READ_ENTRIES, READ_BYTES, 500):
                await waiting.put(entries)
        for _ in range(2):
            await waiting.put(None)

    async def _write_all(self, waiting: asyncio.Queue[list[Entry] | None]) -> None:
        while (entries := await waiting.get()) is not None:
            await self.ingest(entries)

    async def ingest(self, entries: list[Entry]) -> None:
        """Apply entries, tell of the changes and forget the entries; raises what went wrong."""
        again = any(entry.deliveries > 1 for entry in entries)
        told: list[Told] = []
        for entry in entries:
            told += _read(entry)
            while len(told) >= MAX_ITEMS:
                await self._write(entries, told[:MAX_ITEMS], again=again)
                del told[:MAX_ITEMS]
        if told:
            await self._write(entries, told, again=again)
        await self._backlog.ack(entries)

    async def _write(self, entries: list[Entry], told: list[Told], *, again: bool) -> None:
        """Write a few items, however long Postgres is away; what it refuses is set apart."""
        attempt = 0
        while True:
            try:
                applied = await self._apply(told)
            except Exception as error:
                if is_transient(error):
                    attempt += 1
                    again = True
                    await self._wait_for_postgres(entries, error, attempt)
                    continue
                if not is_refusal(error):
                    raise
                await self._set_apart(entries, told, error, again=again)
                return
            await self._effects.follow(applied, again=again)
            return

    async def _wait_for_postgres(
        self, entries: list[Entry], error: BaseException, attempt: int
    ) -> None:
        _log.warning("ingest_waits_for_postgres", error=type(error).__name__, attempt=attempt)
        # Postgres' absence is no fault of the entries: nobody else takes them, and no start counts.
        with suppress(Unavailable):
            await self._backlog.hold(entries, forgive=True)
        await asyncio.sleep(random.uniform(0.02, min(5.0, 0.05 * 2**attempt)))  # noqa: S311

    async def _set_apart(
        self, entries: list[Entry], told: list[Told], error: Exception, *, again: bool
    ) -> None:
        """Halve a batch that Postgres refuses until the refused item stands alone."""
        if len(told) > 1:
            middle = len(told) // 2
            await self._write(entries, told[:middle], again=again)
            await self._write(entries, told[middle:], again=again)
            return
        (one,) = told
        if isinstance(one.what, Rejected):
            raise error
        refused = Rejected(
            reason="refused",
            error=f"Postgres refuses it: {type(error).__name__}",
            raw=one.what.raw,
            object=one.what.object,
            page_id=one.what.page_id,
        )
        await self._write(entries, [Told(one.received_ms, refused)], again=again)

    async def _apply(self, told: list[Told]) -> Applied:
        started = time.perf_counter()
        batch = await self._batch(told)
        applied = await apply(self._database, batch)
        metrics.ingest_items.inc(len(told))
        metrics.ingest_batch_items.observe(len(told))
        metrics.ingest_batch_seconds.observe(time.perf_counter() - started)
        return applied

    async def _batch(self, told: Sequence[Told]) -> Batch:
        ours = {one.what.page_id for one in told if isinstance(one.what, Item)}
        unknown = await self._pages.unknown(ours)
        batch = Batch()
        for one in told:
            if isinstance(one.what, Rejected):
                batch.dead.append(_dead(one.received_ms, one.what))
            elif one.what.page_id in unknown:
                batch.dead.append(_dead(one.received_ms, _unknown_page(one.what)))
            else:
                for event in one.what.events:
                    merge.add(batch, event)
                batch.raws.setdefault(one.what.identity, _raw(one.received_ms, one.what))
        return batch


def _read(entry: Entry) -> Iterator[Told]:
    if entry.unreadable is not None:
        reason = "This is no backlog entry of ours"
        yield Told(
            time.time_ns() // 1_000_000,
            Rejected(reason="unreadable", error=reason, raw=entry.unreadable),
        )
    for envelope in entry.envelopes:
        for what in webhook.parse(envelope.body, envelope.received_ms):
            yield Told(envelope.received_ms, what)


def _unknown_page(item: Item) -> Rejected:
    return Rejected(
        reason="unknown_page",
        error="No Page of ours has this id: add it, and this is applied",
        raw=item.raw,
        object=item.object,
        page_id=item.page_id,
    )


def _dead(received_ms: int, rejected: Rejected) -> DeadLetter:
    return DeadLetter(
        source="webhook",
        reason=rejected.reason,
        error=rejected.error,
        object=rejected.object,
        page_id=rejected.page_id,
        bytes=rejected.raw,
        received_ms=received_ms,
    )


def _raw(received_ms: int, item: Item) -> RawRow:
    return RawRow(
        received_ms=received_ms,
        identity=item.identity,
        object=item.object,
        page_id=item.page_id,
        participant_id=item.participant_id,
        mid=item.mid,
        bytes=item.raw,
        is_unsend=any(isinstance(event, Unsend) for event in item.events),
    )
