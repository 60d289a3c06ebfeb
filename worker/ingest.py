"""The loop from the backlog to the tables: read, parse, write, tell, forget.

A reader and two writers with a short queue between them: while writers are busy, what waits in
the queue is written as one batch, so that batches grow with the load and nothing waits when idle.
Crash-only: whatever goes wrong ends the loop, its supervisor starts it again, and what was read
but not acknowledged is read again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Protocol

from msgspec.structs import astuple, replace

from shared.backlog.envelope import Entry
from shared.errors import Unavailable
from shared.events import Rejected
from shared.store.rows import SpanRow
from shared.tasks import together
from worker import writing
from worker.writing import MAX_ITEMS, Told, Writer

READ_ENTRIES = 64
READ_BYTES = 4 * 1024 * 1024
BLOCK_MS = 500
CLAIM_EVERY = 2.0

# Two writers keep Postgres and Python busy at once; more only wait for each other.
WRITERS = 2

# An entry given to so many before without an ending may be what ended them.
SUSPECT_AFTER = 2


class Backlog(Protocol):
    """A durable log of acknowledged webhooks: the stream, or the inbox in Postgres."""

    async def replay_pending(self) -> list[Entry]: ...
    async def read(self, max_entries: int, max_bytes: int, block_ms: int) -> list[Entry]: ...
    async def claim_stale(self) -> list[Entry]: ...
    def let_go(self) -> None: ...
    async def hold(self, entries: list[Entry], *, forgive: bool = False) -> None: ...
    async def ack(self, entries: list[Entry]) -> None: ...


class Ingest:
    """Drains one backlog into the tables; many may run at once, here and elsewhere."""

    def __init__(self, backlog: Backlog, writer: Writer) -> None:
        self._backlog = backlog
        self._writer = writer
        self._failed = False

    async def run(self, stop: asyncio.Event) -> None:
        """Ingest until `stop` is set, then finish what was read; raises what went wrong."""
        # What a run that failed had read is read again at once.
        self._backlog.let_go()
        waiting: asyncio.Queue[list[Entry] | None] = asyncio.Queue(maxsize=2)
        survived, self._failed = self._failed, True
        parts = [
            asyncio.create_task(self._read(waiting, stop, survived=survived)),
            *(asyncio.create_task(self._write(waiting)) for _ in range(WRITERS)),
        ]
        await together(parts)

    async def drain(self) -> None:
        """Ingest what lies in the backlog now: what nobody was given, and what the dead left."""
        while entries := await self._backlog.claim_stale() or await self._backlog.read(
            READ_ENTRIES, READ_BYTES, 0
        ):
            try:
                await self.ingest(entries)
            except BaseException:
                # What the running loop holds may be taken twice then, which changes nothing.
                self._backlog.let_go()
                raise

    async def ingest(self, entries: list[Entry]) -> None:
        """Apply entries, tell of the changes and forget the entries; raises what went wrong."""
        if fresh := [entry for entry in entries if entry.deliveries <= SUSPECT_AFTER]:
            await self._ingest_together(fresh)
        for entry in entries:
            if entry.deliveries > SUSPECT_AFTER:
                await self._ingest_alone(entry)

    async def _ingest_alone(self, entry: Entry) -> None:
        """Write item by item, so that one which ends this process too can be told from the rest."""
        for one in _read(entry):
            await self._backlog.hold([entry])
            await self._writer.write_suspect(one, waiting=self._waiting([entry]))
        await self._writer.write(
            [], again=False, waiting=self._waiting([entry]), spans=_spans([entry])
        )
        await self._backlog.ack([entry])

    async def _ingest_together(self, entries: list[Entry]) -> None:
        again = any(entry.deliveries > 1 for entry in entries)
        waiting = self._waiting(entries)
        told: list[Told] = []
        whole: list[Entry] = []  # those of which nothing is left to be read
        for entry in entries:
            told += _read(entry)
            while len(told) > MAX_ITEMS:
                await self._writer.write(
                    told[:MAX_ITEMS], again=again, waiting=waiting, spans=_spans(whole)
                )
                whole = []
                del told[:MAX_ITEMS]
            whole.append(entry)
        await self._writer.write(told, again=again, waiting=waiting, spans=_spans(whole))
        await self._backlog.ack(entries)

    def _waiting(self, entries: list[Entry]) -> Callable[[], Awaitable[None]]:
        async def wait() -> None:
            # Postgres' absence is no fault of the entries: they stay ours, and no start counts.
            with suppress(Unavailable):
                await self._backlog.hold(entries, forgive=True)

        return wait

    async def _read(
        self, waiting: asyncio.Queue[list[Entry] | None], stop: asyncio.Event, *, survived: bool
    ) -> None:
        while entries := await self._backlog.replay_pending():
            if survived:
                # This process had them in hand and lives: they are no suspects.
                await self._backlog.hold(entries, forgive=True)
                entries = [replace(entry, deliveries=2) for entry in entries]
            await waiting.put(entries)
        claimed = time.monotonic()
        while not stop.is_set():
            if time.monotonic() - claimed >= CLAIM_EVERY:
                claimed = time.monotonic()
                if stale := await self._backlog.claim_stale():
                    await waiting.put(stale)
            if entries := await self._backlog.read(READ_ENTRIES, READ_BYTES, BLOCK_MS):
                await waiting.put(entries)
        for _ in range(WRITERS):
            await waiting.put(None)

    async def _write(self, waiting: asyncio.Queue[list[Entry] | None]) -> None:
        while (entries := await waiting.get()) is not None:
            await self.ingest(entries)


def _read(entry: Entry) -> Iterator[Told]:
    if entry.unreadable is not None:
        rejected = Rejected(
            reason="unreadable", error="this is no backlog entry of ours", raw=entry.unreadable
        )
        yield Told(time.time_ns() // 1_000_000, rejected)
    for envelope in entry.envelopes:
        yield from writing.read(envelope)


def _spans(entries: list[Entry]) -> list[SpanRow]:
    """Return the numbers of what entries hold, those that follow one another as one."""
    spans: list[SpanRow] = []
    for entry in entries:
        if entry.origin is None or not entry.envelopes:
            continue
        ingress, boot, first = astuple(entry.origin)
        past = first + len(entry.envelopes)
        last = spans[-1] if spans else None
        if last and (last.ingress, last.boot, last.past) == (ingress, boot, first):
            spans[-1] = replace(last, past=past)
        else:
            spans.append(SpanRow(ingress, boot, first, past))
    return spans
