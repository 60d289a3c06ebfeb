"""From parsed items to committed rows and what follows, whoever brings the items.

Postgres' absence is waited out; data that Postgres refuses is set apart, item by item, and kept.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from msgspec import Struct, field

from shared import log, metrics, tracing
from shared.backlog.envelope import Envelope, confirmation_code
from shared.errors import Unreadable
from shared.events import Item, Rejected, Unsend
from shared.facebook.ids import id_text
from shared.facebook.signature import read_signed_request
from shared.facebook.webhook.body import parse
from shared.store import dead, erasing
from shared.store.applying import Applied, Within, apply, insert_dead_letters
from shared.store.database import Database, is_refusal, is_transient
from shared.store.pages import KnownPages
from shared.store.rows import Batch, DeadLetter, PrivacyRequest, RawRow, SpanRow
from worker import merge
from worker.effects import Effects
from worker.retention import Retention

_log = log.get(__name__)

MAX_ITEMS = 300
"""An item writes at most a message, a conversation and a raw row: this keeps a transaction under
1,000 rows, and its part of the latency at about 20 ms."""


class Told(Struct, frozen=True):
    """One parsed item, or a callback, and when the ingress received it.

    `kept`: it comes from `raw_events`, and is to be written whether or not it was before.
    """

    received_ms: int
    what: Item | Rejected | PrivacyRequest
    kept: bool = False


class Written(Struct):
    """What commits did, and whether some of it may have been done before with nobody told."""

    applied: Applied = field(default_factory=Applied)
    again: bool = False

    def join(self, later: "Written") -> None:
        self.applied.join(later.applied)
        self.again |= later.again


def read(envelope: Envelope) -> list[Told]:
    """Parse what Facebook posted; raises nothing, whatever it is."""
    if envelope.kind == "webhook":
        return read_items(envelope.body, envelope.received_ms)
    return [Told(envelope.received_ms, _callback(envelope))]


def read_items(body: bytes, received_ms: int, *, kept: bool = False) -> list[Told]:
    """Parse a webhook's body."""
    return [Told(received_ms, what, kept) for what in parse(body, received_ms)]


def _callback(envelope: Envelope) -> PrivacyRequest | Rejected:
    try:
        user_id = id_text(read_signed_request(envelope.body.decode("ascii")).user_id)
    except (Unreadable, ValueError):
        user_id = None
    if user_id is None:
        error = f"this is no {envelope.kind} callback"
        return Rejected(reason="unreadable", error=error, raw=envelope.body)
    return PrivacyRequest(
        code=confirmation_code(envelope.body),
        kind=envelope.kind,
        user_id=user_id,
        received_ms=envelope.received_ms,
    )


class Writer:
    """Writes items, however long Postgres is away, and tells what changed."""

    def __init__(
        self, database: Database, pages: KnownPages, effects: Effects, retention: Retention
    ) -> None:
        self._database = database
        self._pages = pages
        self._effects = effects
        self._retention = retention

    async def write(
        self,
        told: Sequence[Told],
        *,
        again: bool,
        waiting: Callable[[], Awaitable[None]],
        within: Within | None = None,
        spans: Sequence[SpanRow] = (),
    ) -> None:
        """Commit items and tell what changed."""
        written = await self.commit(told, again=again, waiting=waiting, within=within, spans=spans)
        await self.tell(written, told)

    async def commit(
        self,
        told: Sequence[Told],
        *,
        again: bool,
        waiting: Callable[[], Awaitable[None]],
        within: Within | None = None,
        spans: Sequence[SpanRow] = (),
    ) -> Written:
        """Write at most MAX_ITEMS items; raises what is neither passing trouble nor their fault.

        `again` says that they may have been written before without anybody being told. `waiting`
        is called before each wait for Postgres; `within` runs in every transaction it takes.
        `spans` are the envelopes of which these are the last items.
        """
        attempt, written = 0, Written()
        while True:
            try:
                applied = await self._apply(told, within, spans)
            except Exception as error:
                if is_transient(error):
                    attempt += 1
                    again = True
                    _log.warning("waits_for_postgres", error=type(error).__name__, attempt=attempt)
                    await waiting()
                    await asyncio.sleep(random.uniform(0.02, min(5, 0.05 * 2**attempt)))  # noqa: S311
                    continue
                if not is_refusal(error):
                    raise
                *parts, last = _apart(told, error)
                for part in parts:
                    written.join(
                        await self.commit(part, again=again, waiting=waiting, within=within)
                    )
                told = last
                continue
            _observe("committed", told)
            written.join(Written(applied, again=again))
            return written

    async def tell(self, written: Written, told: Sequence[Told]) -> None:
        """Invalidate and announce what committed items changed."""
        await self._effects.follow(written.applied, again=written.again)
        _observe("announced", told)

    async def write_suspect(self, one: Told, *, waiting: Callable[[], Awaitable[None]]) -> None:
        """Write an item that may be what killed the processes that had its entry in hand.

        Its dead letter is committed first and taken back with its rows: if the item kills this
        process too, the letter stays, and whoever reads the entry next goes past it. An innocent
        item whose process is killed at this very moment stays behind likewise, to be retried.
        """
        if isinstance(one.what, PrivacyRequest):
            # Its few fields were read before this: nothing is left in it that could kill.
            await self.write([one], again=True, waiting=waiting)
            return
        letters = Batch(dead=[_letter(one.received_ms, _poison(one.what))])
        async with self._database.transaction() as connection:
            # What is about an erased person is kept nowhere, not even as a suspect.
            await erasing.leave_out(connection, letters)
            kept = bool(letters.dead)
            suspected = await insert_dead_letters(connection, letters.dead) if kept else []
        if kept and not suspected:
            _log.error("poison_set_aside", page_id=one.what.page_id)
            return
        acquit = partial(dead.acquit, ids=suspected)
        await self.write([one], again=True, waiting=waiting, within=acquit)

    async def _apply(
        self, told: Sequence[Told], within: Within | None, spans: Sequence[SpanRow]
    ) -> Applied:
        started = time.perf_counter()
        with tracing.span("commit", "client", items=len(told)):
            batch = await self._batch(told)
            batch.spans = list(spans)
            applied = await apply(self._database, batch, within)
        took = time.perf_counter() - started
        metrics.ingest_items.inc(len(told))
        metrics.ingest_batch_items.observe(len(told))
        metrics.ingest_batch_seconds.observe(took)
        _log.info(
            "batch_saved",
            items=len(told),
            conversations=len(applied.changes),
            new_messages=applied.new_messages,
            saved_in_ms=round(took * 1000, 1),
        )
        return applied

    async def _batch(self, told: Sequence[Told]) -> Batch:
        unknown = await self._pages.unknown(
            {one.what.page_id for one in told if isinstance(one.what, Item)}
        )
        batch = Batch()
        for one in told:
            if isinstance(one.what, PrivacyRequest):
                batch.requests.append(one.what)
            elif isinstance(one.what, Rejected):
                batch.dead.append(_letter(one.received_ms, one.what))
            elif one.what.page_id in unknown:
                batch.dead.append(_letter(one.received_ms, _unknown_page(one.what)))
            else:
                for event in one.what.events:
                    merge.add(batch, event)
                if not one.kept:
                    batch.raws.setdefault(one.what.identity, _raw(one.received_ms, one.what))
        self._retention.leave_out(batch)
        return batch


def _observe(stage: str, told: Sequence[Told]) -> None:
    """Note how long after the ingress received them items came this far."""
    now = time.time()
    metrics.visible_seconds.labels(stage).observe_all(
        [max(0.0, now - one.received_ms / 1000) for one in told]
    )


def _apart(told: Sequence[Told], error: Exception) -> list[Sequence[Told]]:
    """Halve what Postgres refuses; a refused item that stands alone becomes a dead letter."""
    if len(told) > 1:
        middle = len(told) // 2
        return [told[:middle], told[middle:]]
    (one,) = told
    if not isinstance(one.what, Item):
        raise error
    refused = Rejected(
        reason="refused",
        error=f"Postgres refuses it: {type(error).__name__}",
        raw=one.what.raw,
        object=one.what.object,
        page_id=one.what.page_id,
    )
    return [[Told(one.received_ms, refused)]]


def _poison(what: Item | Rejected) -> Rejected:
    return Rejected(
        reason="poison",
        error="the process ended while this was written, after its entry had ended two before",
        raw=what.raw,
        object=what.object,
        page_id=what.page_id,
    )


def _unknown_page(item: Item) -> Rejected:
    return Rejected(
        reason="unknown_page",
        error="no Page of ours has this id: add it, and this is applied",
        raw=item.raw,
        object=item.object,
        page_id=item.page_id,
    )


def _letter(received_ms: int, rejected: Rejected) -> DeadLetter:
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
        is_unsend=Unsend in map(type, item.events),
    )
