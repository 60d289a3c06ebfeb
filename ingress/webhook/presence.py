"""Tells Postgres every ten seconds that this ingress lives, and what may have been missed."""

import time
from datetime import timedelta

from ingress.webhook.ledger import Ledger
from ingress.webhook.will import Will
from shared import log, metrics
from shared.backlog.witness import Gap, Witness
from shared.errors import Unavailable

_log = log.get(__name__)


class Presence:
    """This boot's heartbeat; gaps wait here while Postgres is away."""

    def __init__(self, witness: Witness, ledger: Ledger, will: Will) -> None:
        self._witness = witness
        self._ledger = ledger
        self._will = will
        self._booted = time.monotonic()
        self._arrived = self._inherited = False
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
        if not self._inherited:
            await self._inherit()
            self._inherited = True
        while self._gaps:
            await self._witness.record(self._gaps[0])
            del self._gaps[0]
        await self._witness.beat(self._ledger.acked())

    async def leave(self) -> None:
        """Say goodbye; raises Unavailable, and the will tells the next boot then."""
        await self.beat()
        self._will.told()

    async def _inherit(self) -> None:
        """Write down for the dead what they could not."""
        try:
            others = list(self._will.others())
        except OSError as error:  # such as of a process that may open no more files now
            raise Unavailable(f"What the dead left cannot be read: {error.strerror}.") from None
        for left, path in others:
            await self._witness.bequeath(left)
            path.unlink(missing_ok=True)
            _log.info("inherited", ingress=left.ingress, boot=left.boot)
