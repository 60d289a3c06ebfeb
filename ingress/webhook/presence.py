"""Tells Postgres every ten seconds that this ingress lives, and what may have been missed."""

import time
from datetime import timedelta

from ingress.webhook.ledger import Ledger
from shared import log, metrics
from shared.backlog.witness import Gap, Witness

_log = log.get(__name__)


class Presence:
    """This boot's heartbeat; gaps wait here while Postgres is away."""

    def __init__(self, witness: Witness, ledger: Ledger) -> None:
        self._witness = witness
        self._ledger = ledger
        self._booted = time.monotonic()
        self._arrived = False
        self._gaps: list[Gap] = []

    def suspect(self, gap: Gap) -> None:
        """Note a time in which events may have been lost."""
        metrics.gaps.labels(gap.cause).inc()
        _log.warning("gap_suspected", cause=gap.cause, from_at=gap.from_at, until_at=gap.until_at)
        self._gaps.append(gap)

    async def beat(self) -> None:
        """Write down what is new; raises Unavailable, and nothing is forgotten then."""
        if not self._arrived:
            gap = await self._witness.arrive(timedelta(seconds=time.monotonic() - self._booted))
            self._arrived = True
            if gap:
                metrics.gaps.labels(gap.cause).inc()
                _log.warning("gap_before_start", from_at=gap.from_at, until_at=gap.until_at)
        while self._gaps:
            await self._witness.record(self._gaps[0])
            del self._gaps[0]
        await self._witness.beat(self._ledger.acked())
