"""Group commit: what waits together is stored together, and answered once it is durable."""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from ingress.webhook.keeper import Keeper, Turns
from ingress.webhook.ledger import Ledger
from shared import log, metrics, tracing
from shared.backlog.envelope import Envelope, Kind, Origin, pack

_log = log.get(__name__)

LARGE = 256 << 10
"""Bodies over this many bytes go to Postgres first: an entry of a Redis stream lives in memory."""

ENTRY_BYTES = 1 << 20
"""No entry grows past this by packing: a worker reads whole entries."""

BUDGET = 3.0
"""Seconds a request may take to be durable. Facebook gives up after five."""


class _Pending(NamedTuple):
    envelope: Envelope
    answer: "asyncio.Future[bool]"
    arrived: float
    place: tracing.Place


class GroupCommit:
    """One flusher: everything pending goes as one entry, one entry is under way, at once when idle.

    The entry under way is the only batching window there is, so there is no timer to tune.
    """

    def __init__(self, ledger: Ledger, keepers: Sequence[Keeper | Turns], *, every: bool) -> None:
        """`keepers` in order of preference; with `every`, all of them are to have each entry."""
        self._ledger = ledger
        self._keepers = keepers
        self._every = every
        self._pending: list[_Pending] = []
        self._pending_bytes = 0
        self._arrived = asyncio.Event()

    def put(self, envelope: Envelope) -> "asyncio.Future[bool]":
        """Hand over an envelope; the result says whether it is durable."""
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self._pending.append(_Pending(envelope, answer, loop.time(), tracing.here()))
        self._pending_bytes += len(envelope.body)
        self._arrived.set()
        return answer

    async def run(self) -> None:
        """Store what arrives, for ever."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await self.flush()

    async def flush(self) -> None:
        """Store everything pending."""
        while self._pending:
            batch = self._take()
            first = self._ledger.number(len(batch))
            with tracing.joined("store", (one.place for one in batch), "producer"):
                origin = Origin(self._ledger.ingress, self._ledger.boot, first, tracing.here())
                packed = pack(origin, [pending.envelope for pending in batch])
                durable = await self._keep(packed, batch[0].arrived + BUDGET)
            self._ledger.settle(first, len(batch), acked=durable)
            for pending in batch:
                if not pending.answer.done():  # a shutdown may have cut its client off
                    pending.answer.set_result(durable)
            metrics.backlog_batch.observe(len(batch))

    def _take(self) -> list[_Pending]:
        batch, self._pending = self._pending, []
        if self._pending_bytes <= ENTRY_BYTES:
            self._pending_bytes = 0
            return batch
        size = 0
        for number, pending in enumerate(batch):
            size += len(pending.envelope.body)
            if number and size > ENTRY_BYTES:
                self._pending = batch[number:]
                del batch[number:]
                break
        self._pending_bytes = sum(len(pending.envelope.body) for pending in self._pending)
        return batch

    async def _keep(self, packed: bytes, deadline: float) -> bool:
        if self._every:
            return any(await asyncio.gather(*(k.keep(packed, deadline) for k in self._keepers)))
        for keeper in self._keepers:
            if await keeper.keep(packed, deadline):
                return True
        return False


class Intake:
    """The way of an envelope into the backlog; large ones take a lane of their own."""

    def __init__(self, *, small: GroupCommit, large: GroupCommit) -> None:
        self._small = small
        self._large = large

    def put(self, kind: Kind, body: bytes) -> "asyncio.Future[bool]":
        """Hand over a body; the result says whether it is durable. Cancelling changes nothing."""
        envelope = Envelope(kind, time.time_ns() // 1_000_000, body)
        lane = self._small if len(body) <= LARGE else self._large
        return lane.put(envelope)

    async def run(self) -> None:
        """Store what arrives, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._small.run())
            tasks.create_task(self._large.run())

    async def flush(self) -> None:
        """Store everything that still waits."""
        await asyncio.gather(self._small.flush(), self._large.flush())
