"""The loop from the backlog to the tables: read, parse, write, tell, forget.

Four hands in a row: one reads and parses, one writes, one tells, one forgets. Each takes what the
hand before it has done meanwhile as one batch, so that batches grow with the load and nothing waits
when idle. Nothing overtakes on the way: of one conversation, what came first is visible first.
Crash-only: whatever goes wrong ends the loop, its supervisor starts it again, and what was read
but not acknowledged is read again.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Protocol, TypeAlias

from msgspec import Struct, field
from msgspec.structs import astuple, replace

from shared import tracing
from shared.backlog.envelope import Entry
from shared.errors import Unavailable
from shared.events import Rejected
from shared.store.rows import SpanRow
from shared.tasks import end, together
from worker import writing
from worker.writing import MAX_ITEMS, Told, Writer, Written

READ_ENTRIES = 64
READ_BYTES = 4 * 1024 * 1024
BLOCK_MS = 500
CLAIM_EVERY = 2.0
FORGET_EVERY = 0.02

PORTION_ITEMS = 250
BATCH_ITEMS = 2 * PORTION_ITEMS
"""A batch that is too large for one transaction is dealt out to two lanes, each with conversations
of its own. Neither waits for the other, which keeps Postgres busy while we compute; more than two
would only wait for a processor."""

PORTIONS = 8
"""How far a hand may be ahead of the next one."""

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


class Portion(Struct):
    """Items in the order they came, on their way from hand to hand.

    `whole` are the entries of which these are the last items. `again` says that some may have been
    written before without anybody being told; `written` is what writing them did, or does: the
    transactions of `lanes` are still under way, and after them it is to be noted that `unnoted` are
    applied. `places` are where they come from in traces.
    """

    told: list[Told] = field(default_factory=list)
    whole: list[Entry] = field(default_factory=list)
    again: bool = False
    written: Written = field(default_factory=Written)
    lanes: list["asyncio.Task[None]"] = field(default_factory=list)
    unnoted: list[Entry] = field(default_factory=list)
    places: list[tracing.Place] = field(default_factory=list)

    def join(self, later: "Portion") -> None:
        self.told += later.told
        self.whole += later.whole
        self.lanes += later.lanes
        self.unnoted += later.unnoted
        self.again |= later.again
        self.written.join(later.written)
        self.places += later.places


_Belt: TypeAlias = "asyncio.Queue[Portion | None]"
"""Between two hands; None says that nothing more comes."""


class Ingest:
    """Drains one backlog into the tables; many may run at once, here and elsewhere."""

    def __init__(self, backlog: Backlog, writer: Writer) -> None:
        self._backlog = backlog
        self._writer = writer
        self._in_hand: dict[str, Entry] = {}
        self._running = self._failed = False

    async def run(self, stop: asyncio.Event) -> None:
        """Ingest until `stop` is set, then finish what was read; raises what went wrong."""
        # What a run that failed had read is read again at once.
        self._backlog.let_go()
        self._in_hand.clear()
        parsed: _Belt = asyncio.Queue(PORTIONS)
        written: _Belt = asyncio.Queue(PORTIONS)
        told: _Belt = asyncio.Queue()
        survived, self._failed = self._failed, True
        parts = [
            asyncio.create_task(self._read(parsed, stop, survived=survived)),
            asyncio.create_task(self._write(parsed, written)),
            asyncio.create_task(self._tell(written, told)),
            asyncio.create_task(self._forget_told(told)),
        ]
        self._running = True
        try:
            await together(parts)
        finally:
            self._running = False

    async def drain(self) -> None:
        """Ingest what lies in the backlog now: what nobody was given, and what the dead left.

        Where the loop runs, it has taken that already, and is not to be overtaken.
        """
        while not self._running and (
            entries := await self._backlog.claim_stale()
            or await self._backlog.read(READ_ENTRIES, READ_BYTES, 0)
        ):
            try:
                await self.ingest(entries)
            except BaseException:
                # What a loop that began meanwhile holds may be taken twice, which changes nothing.
                self._backlog.let_go()
                raise

    async def ingest(self, entries: list[Entry]) -> None:
        """Apply entries, tell of the changes and forget the entries; raises what went wrong."""
        for portion in self._portions(entries):
            await self._store(portion)
            await self._announce(portion)
            await self._forget(portion.whole)
        await self._ingest_suspects(entries)

    # --- the first hand ---------------------------------------------------------------------------

    async def _read(self, parsed: _Belt, stop: asyncio.Event, *, survived: bool) -> None:
        while entries := await self._backlog.replay_pending():
            if survived:
                # This process had them in hand and lives: they are no suspects.
                await self._backlog.hold(entries, forgive=True)
                entries = [replace(entry, deliveries=2) for entry in entries]
            await self._pass_on(entries, parsed)
        claimed = time.monotonic()
        while not stop.is_set():
            if time.monotonic() - claimed >= CLAIM_EVERY:
                claimed = time.monotonic()
                await self._pass_on(await self._backlog.claim_stale(), parsed)
            entries = await self._backlog.read(READ_ENTRIES, READ_BYTES, BLOCK_MS)
            await self._pass_on(entries, parsed)
        await parsed.put(None)

    async def _pass_on(self, entries: list[Entry], parsed: _Belt) -> None:
        for portion in self._portions(entries):
            await parsed.put(portion)
        await self._ingest_suspects(entries)

    def _portions(self, entries: list[Entry]) -> Iterator[Portion]:
        """Parse entries, but for suspects, in portions of at most PORTION_ITEMS."""
        self._in_hand |= {entry.id: entry for entry in entries}
        portion = Portion()
        for entry in entries:
            if entry.deliveries > SUSPECT_AFTER:
                continue
            place = entry.origin.place if entry.origin else ""
            portion.places.append(place)
            for one in _read(entry):
                if len(portion.told) == PORTION_ITEMS:
                    yield portion
                    portion = Portion(places=[place])
                portion.told.append(one)
                portion.again |= entry.deliveries > 1
            portion.whole.append(entry)
        if portion.whole:
            yield portion

    async def _ingest_suspects(self, entries: list[Entry]) -> None:
        """Write item by item, so that one which ends this process too can be told from the rest."""
        for entry in entries:
            if entry.deliveries > SUSPECT_AFTER:
                for one in _read(entry):
                    await self._backlog.hold([entry])
                    await self._writer.write_suspect(one, waiting=self._wait)
                spans = _spans([entry])
                await self._writer.write([], again=False, waiting=self._wait, spans=spans)
                await self._forget([entry])

    # --- the second hand --------------------------------------------------------------------------

    async def _write(self, parsed: _Belt, written: _Belt) -> None:
        lanes: list[asyncio.Task[None]] = []
        try:
            while portion := await _take(parsed):
                if len(portion.told) > MAX_ITEMS:
                    lanes = self._deal(portion, lanes)
                    portion.lanes = list(lanes)
                    portion.unnoted = list(portion.whole)
                else:
                    await _ended(lanes)
                    lanes = []
                    await self._store(portion)
                await written.put(portion)
            await written.put(None)
        finally:
            await end([lane for lane in lanes if not lane.done()])

    async def _store(self, portion: Portion) -> None:
        """Commit a portion; an entry is applied with the last of its items."""
        with tracing.joined("ingest", portion.places):
            portion.places = [tracing.here()]
            await self._commit(portion.told, portion, _spans(portion.whole))

    def _deal(
        self, portion: Portion, before: list["asyncio.Task[None]"]
    ) -> list["asyncio.Task[None]"]:
        """Begin a lane for each half of the conversations, behind the one of the batch before."""
        places, portion.places = portion.places, []
        return [
            asyncio.create_task(
                self._commit_lane(told, portion, places, before[number : number + 1])
            )
            for number, told in enumerate(_by_conversation(portion.told))
        ]

    async def _commit_lane(
        self,
        told: list[Told],
        portion: Portion,
        places: list[tracing.Place],
        before: list["asyncio.Task[None]"],
    ) -> None:
        await _ended(before)
        with tracing.joined("ingest", places):
            portion.places.append(tracing.here())
            for begin in range(0, len(told), MAX_ITEMS):
                await self._commit(told[begin : begin + MAX_ITEMS], portion)

    async def _commit(
        self, told: list[Told], portion: Portion, spans: Sequence[SpanRow] = ()
    ) -> None:
        portion.written.join(
            await self._writer.commit(told, again=portion.again, waiting=self._wait, spans=spans)
        )

    async def _wait(self) -> None:
        # Postgres' absence is no fault of the entries: they stay ours, and no start counts.
        with suppress(Unavailable):
            await self._backlog.hold(list(self._in_hand.values()), forgive=True)

    # --- the third and the fourth hand ------------------------------------------------------------

    async def _tell(self, written: _Belt, told: _Belt) -> None:
        while portion := await _take(written):
            await _ended(portion.lanes)
            if portion.unnoted:
                await self._commit([], portion, _spans(portion.unnoted))
            await self._announce(portion)
            await told.put(Portion(whole=portion.whole))
        await told.put(None)

    async def _announce(self, portion: Portion) -> None:
        with tracing.joined("announce", portion.places):
            await self._writer.tell(portion.written, portion.told)

    async def _forget_told(self, told: _Belt) -> None:
        while portion := await _take(told):
            await self._forget(portion.whole)
            # An acknowledgement waits for the disk, and whoever appends meanwhile waits for it.
            await asyncio.sleep(FORGET_EVERY)

    async def _forget(self, entries: list[Entry]) -> None:
        await self._backlog.ack(entries)
        for entry in entries:
            self._in_hand.pop(entry.id, None)


async def _take(belt: _Belt) -> Portion | None:
    """Return what lies on a belt as one portion: what is there, but no more than a batch."""
    portion = await belt.get()
    while portion and len(portion.told) <= BATCH_ITEMS - PORTION_ITEMS and not belt.empty():
        later = belt.get_nowait()
        if later is None:
            belt.put_nowait(None)
            break
        portion.join(later)
    return portion


async def _ended(lanes: list["asyncio.Task[None]"]) -> None:
    """Wait for lanes; raises what went wrong in one."""
    for lane in lanes:
        await lane


def _by_conversation(told: list[Told]) -> list[list[Told]]:
    """Deal items out to two lists, those of one conversation to the same, in their order."""
    lanes: list[list[Told]] = [[], []]
    for one in told:
        lanes[hash(getattr(one.what, "participant_id", None)) % 2].append(one)
    return lanes


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
        ingress, boot, first, _ = astuple(entry.origin)
        past = first + len(entry.envelopes)
        last = spans[-1] if spans else None
        if last and (last.ingress, last.boot, last.past) == (ingress, boot, first):
            spans[-1] = replace(last, past=past)
        else:
            spans.append(SpanRow(ingress, boot, first, past))
    return spans
