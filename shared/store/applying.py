"""Writes one batch of rows in one transaction and tells what it changed.

Look, decide, write: one statement finds what is stored, the plan says what follows from that, one
statement writes the rows. If another writer stored one of them in between, the transaction is done
once more.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any
from uuid import UUID

import asyncpg
from msgspec.structs import fields

from shared import log, metrics
from shared.ids import conversation_id
from shared.store import erasing, queries, unsending
from shared.store.database import Connection, Database
from shared.store.plan import Applied, Change, Key, Plan, Stored
from shared.store.privacy import insert_requests
from shared.store.rows import Batch, ConversationRow, DeadLetter, MessageRow, columns

__all__ = ["Applied", "Change", "Key", "Within", "apply", "insert_dead_letters"]

_log = log.get(__name__)
_SQL = queries.load("queries.sql")
# A redelivery comes within 36 hours (Facebook's longest retry); two days leave room for a backlog.
_REDELIVERY = timedelta(days=2)
_TRIES = 10  # nobody is overtaken so often: more would be a fault of ours, and hold everything up
_MESSAGE = [one.name for one in fields(MessageRow)]
_CONVERSATION = [one.name for one in fields(ConversationRow)]

Within = Callable[[Connection], Awaitable[None]]


class _OvertakenError(Exception):
    """Another writer stored a row of the batch after we looked for it."""


async def apply(database: Database, batch: Batch, within: Within | None = None) -> Applied:
    """Join a batch into the tables in one transaction; `within` runs in it, before its COMMIT.

    What concerns erased people is taken out of the batch.

    Raises what Postgres raised: `database.is_transient` tells trouble that passes from data it
    refuses. After trouble at COMMIT it is open whether the batch was written: write it again.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            async with database.transaction() as connection:
                applied = await _Writing(connection, batch, may_repeat=attempt < _TRIES).run()
                if within is not None:
                    await within(connection)
        except _OvertakenError:
            continue
        return applied


class _Writing:
    """One run over the tables, always in the order of `run`, so that no two wait in a circle."""

    def __init__(self, connection: Connection, batch: Batch, *, may_repeat: bool) -> None:
        self._connection = connection
        self._batch = batch
        self._may_repeat = may_repeat
        received = [row.received_ms for row in batch.raws.values()] or [0]
        self._since = datetime.fromtimestamp(min(received) / 1000, UTC) - _REDELIVERY
        self._until = datetime.fromtimestamp(max(received) / 1000, UTC) + _REDELIVERY

    async def run(self) -> Applied:
        batch, items = self._batch, len(self._batch.raws)
        stored = await self._look()
        plan = Plan(Batch(), Stored())
        if items and len(stored.kept) == items:
            # All of it was written before, with whatever it tells.
            await self._write_planned(plan)
            applied = Applied(mentioned=_people(batch))
        else:
            plan = Plan(batch, stored)
            applied = await self._write(plan)
        await self._write_letters(plan)
        if batch.requests:
            await insert_requests(self._connection, batch.requests)
        return applied

    async def _look(self) -> Stored:
        """Find what is stored of the batch; take out of it who is erased."""
        batch = self._batch
        asked = erasing.asked(batch)
        conversations = sorted(_people(batch))
        [found] = await self._connection.fetch(
            _SQL["look"],
            [page_id for page_id, _ in asked],
            [person for _, person in asked],
            [UUID(bytes=identity) for identity in batch.raws],
            self._since,
            self._until,
            [page_id for page_id, _ in batch.messages],
            [mid for _, mid in batch.messages],
            [conversation_id(*key) for key in conversations],
        )
        if found["erased"]:
            erasing.take_out(batch, {tuple(one) for one in found["erased"]})
        messages = [_row(MessageRow, _MESSAGE, row) for row in found["messages"]]
        known = [_row(ConversationRow, _CONVERSATION, row) for row in found["conversations"]]
        return Stored(
            messages={(row.page_id, row.mid): row for row in messages},
            conversations=dict.fromkeys(conversations)
            | {(row.page_id, row.participant_id): row for row in known},
            kept={identity.bytes for identity in found["kept"]},
        )

    async def _write(self, plan: Plan) -> Applied:
        if self._batch.reactions:
            await self._write_reactions(plan)
        if self._batch.conversation_tags:
            await self._write_tags(plan)
        if self._batch.events:
            rows = list(self._batch.events.values())
            await self._connection.execute(_SQL["insert_events"], *columns(rows))
        await self._write_planned(plan)
        if plan.recount:
            keys = sorted(plan.recount)
            await self._connection.execute(
                _SQL["recount_conversations"],
                *_split(keys),
                [conversation_id(*key) for key in keys],
            )
        if plan.newly_gone:
            gone = _split(sorted(plan.newly_gone))
            unsends = [UUID(bytes=row.identity) for row in plan.raws if row.is_unsend]
            await self._connection.execute(_SQL["forget_raw_events"], *gone, unsends)
        if doubtful := plan.doubtful_raws():
            await self._connection.execute(
                _SQL["forget_new_raw_events"],
                [UUID(bytes=row.identity) for row in doubtful],
                [row.page_id for row in doubtful],
                [row.mid for row in doubtful],
                self._since,
            )
        return plan.applied

    async def _write_letters(self, plan: Plan) -> None:
        """Keep dead letters, and take what was unsent out of whatever may name it."""
        named = unsending.named_in(self._batch)
        if plan.newly_gone or named:
            await unsending.begin(self._connection, unsends=bool(plan.newly_gone))
        if self._batch.dead:
            await insert_dead_letters(self._connection, self._batch.dead)
        gone = plan.newly_gone | await unsending.unsent_among(self._connection, named)
        if gone:
            await unsending.forget(self._connection, gone)

    async def _write_planned(self, plan: Plan) -> None:
        changes, spans = plan.changes(), self._batch.spans
        if not (plan.messages or plan.conversations or plan.raws or changes or spans):
            return
        kept = sorted(plan.raws, key=attrgetter("identity"))
        raws = _columns(kept, 8)[:7]
        raws[1] = [UUID(bytes=row.identity) for row in kept]
        [done] = await self._connection.fetch(
            _SQL["write"],
            *_columns(plan.messages, len(_MESSAGE)),
            *_columns(plan.conversations, len(_CONVERSATION)),
            [conversation_id(row.page_id, row.participant_id) for row in plan.conversations],
            *raws,
            [change.page_id for change in changes],
            [change.participant_id for change in changes],
            [change.conversation_id for change in changes],
            [",".join(sorted(change.kinds)) for change in changes],
            [span.ingress for span in spans],
            [span.boot for span in spans],
            [span.first for span in spans],
            [span.past for span in spans],
        )
        if plan.holds(done["messages"], done["conversations"]):
            return
        if self._may_repeat:
            raise _OvertakenError
        # The rows are right, whatever was expected; of what changed nobody knows for certain.
        _log.error("plan_never_held", messages=len(plan.messages))
        plan.recount |= _people(self._batch)

    async def _write_reactions(self, plan: Plan) -> None:
        rows = list(self._batch.reactions.values())
        plan.applied.mentioned |= {(row.page_id, row.participant_id) for row in rows}
        for record in await self._connection.fetch(_SQL["upsert_reactions"], *columns(rows)):
            plan.touch((record["page_id"], record["participant_id"]), "reaction")

    async def _write_tags(self, plan: Plan) -> None:
        if self._batch.tags:
            tags = columns(list(self._batch.tags.values()))
            for record in await self._connection.fetch(_SQL["wearers_of_renamed"], *tags):
                plan.touch((record["page_id"], record["participant_id"]), "tag")
            await self._connection.execute(_SQL["upsert_tags"], *tags)
        worn = list(self._batch.conversation_tags.values())
        for record in await self._connection.fetch(
            _SQL["upsert_conversation_tags"], *columns(worn)
        ):
            plan.touch((record["page_id"], record["participant_id"]), "tag")


def _people(batch: Batch) -> set[Key]:
    """Return whose conversations a batch's messages and conversations are."""
    return batch.conversations.keys() | {
        (row.page_id, row.participant_id)
        for row in batch.messages.values()
        if row.participant_id is not None
    }


def _row(shape: type[Any], names: list[str], values: asyncpg.Record) -> Any:
    return shape(**dict(zip(names, values, strict=True)))


def _columns(rows: list[Any], count: int) -> list[Sequence[Any]]:
    return columns(rows) if rows else [()] * count


def _split(keys: list[Key]) -> tuple[list[str], list[str]]:
    return [key[0] for key in keys], [key[1] for key in keys]


async def insert_dead_letters(connection: Connection, letters: Sequence[DeadLetter]) -> list[int]:
    """Keep what could not become rows; the same bytes for the same reason are kept once.

    Return the ids of those that were not open already.
    """
    opened = await connection.fetch(_SQL["insert_dead_letters"], *columns([*letters]))
    for letter in letters:
        metrics.dead_letters.labels(letter.reason).inc()
    return [row["id"] for row in opened]
