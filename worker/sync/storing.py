"""From what a sync was told to committed rows, by the same path that webhooks take."""

import time
from collections.abc import Sequence

import msgspec

from shared.events import Event, Rejected
from shared.store.applying import Applied, Within, apply
from shared.store.database import Database, is_refusal
from shared.store.rows import Batch, DeadLetter
from worker import merge
from worker.effects import Effects
from worker.retention import Retention


class Storing:
    """Writes what Graph told and tells what changed."""

    def __init__(self, database: Database, effects: Effects, retention: Retention) -> None:
        self._database = database
        self._effects = effects
        self._retention = retention

    async def tell_again(self, conversations: set[tuple[str, str]]) -> None:
        """Tell of conversations that were committed by who died, perhaps before telling."""
        await self._effects.follow(Applied(mentioned=conversations), again=True)

    async def write(
        self, events: Sequence[Event], rejected: Sequence[Rejected], within: Within
    ) -> Applied:
        """Write events and dead letters in one transaction with `within`; raises when it cannot.

        Where Postgres refuses the data, the good events go in and the bad become dead letters.
        """
        batch = _batch(events, rejected)
        self._retention.leave_out(batch)
        try:
            applied = await apply(self._database, batch, within)
        except Exception as error:
            if not is_refusal(error) or not events:
                raise
            return await self._write_apart(events, rejected, within, error)
        await self._effects.follow(applied, again=False)
        return applied

    async def _write_apart(
        self,
        events: Sequence[Event],
        rejected: Sequence[Rejected],
        within: Within,
        error: Exception,
    ) -> Applied:
        """Write in halves; only the last of all parts moves the place."""
        if len(events) == 1:
            return await self.write((), [*rejected, _refused(events[0], error)], within)
        middle = len(events) // 2
        first = await self.write(events[:middle], (), _nothing)
        second = await self.write(events[middle:], rejected, within)
        second.changes |= first.changes
        second.new_conversations |= first.new_conversations
        second.new_messages += first.new_messages
        return second


async def _nothing(_: object) -> None:
    return


def _batch(events: Sequence[Event], rejected: Sequence[Rejected]) -> Batch:
    batch = merge.reduce(events)
    batch.dead = [_letter(one) for one in rejected]
    return batch


def _letter(rejected: Rejected) -> DeadLetter:
    return DeadLetter(
        source="graph",
        reason=rejected.reason,
        error=rejected.error,
        object=rejected.object,
        page_id=rejected.page_id,
        bytes=rejected.raw,
        received_ms=time.time_ns() // 1_000_000,
    )


def _refused(event: Event, error: Exception) -> Rejected:
    return Rejected(
        reason="refused",
        error=f"Postgres refuses it: {type(error).__name__}",
        raw=msgspec.json.encode(event),
        page_id=event.page_id,
    )
