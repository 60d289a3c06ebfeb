"""Writes one batch of rows in one transaction and tells what it changed.

Look, decide, write: one statement finds what is stored, the plan says what follows from that, one
statement writes the rows. If another writer stored one of them in between, or somebody was erased,
all is done once more. So the look needs no transaction, and what one statement writes needs neither
BEGIN nor COMMIT: a small batch costs its round trips.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, TypeVar

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
_UNDONE = "PW001"  # what the function undo_unless raises
_MESSAGE = [one.name for one in fields(MessageRow)]
_CONVERSATION = [one.name for one in fields(ConversationRow)]

_Page = TypeVar("_Page", str, str | None)

Within = Callable[[Connection], Awaitable[None]]


class _OvertakenError(Exception):
    """Another writer stored a row of the batch, or erased somebody, after we looked."""


async def apply(database: Database, batch: Batch, within: Within | None = None) -> Applied:
    """Join a batch into the tables in one transaction; `within` runs in it, before its COMMIT.

    What concerns erased people is taken out of the batch.

    Raises what Postgres raised: `database.is_transient` tells trouble that passes from data it
    refuses. After trouble at COMMIT it is open whether the batch was written: write it again.
    """
    attempt = 0
    while True:
        attempt += 1
        with suppress(_OvertakenError):
            async with database.connection() as connection:
                return await _Writing(connection, batch, may_repeat=attempt < _TRIES).run(within)


class _Writing:
    """One run over the tables, always in the order of `_write`, so that no two wait in a circle."""

    def __init__(self, connection: Connection, batch: Batch, *, may_repeat: bool) -> None:
        self._connection = connection
        self._batch = batch
        self._may_repeat = may_repeat
        self._asked: list[erasing.Asked] = []
        received = [row.received_ms for row in batch.raws.values()] or [0]
        self._since = datetime.fromtimestamp(min(received) / 1000, UTC) - _REDELIVERY
        self._until = datetime.fromtimestamp(max(received) / 1000, UTC) + _REDELIVERY

    async def run(self, within: Within | None) -> Applied:
        stored = await self._look()
        batch, items = self._batch, len(self._batch.raws)
        if items and len(stored.kept) == items:
            # All of it was written before, with whatever it tells.
            self._batch = Batch(dead=batch.dead, requests=batch.requests, spans=batch.spans)
            plan = Plan(self._batch, Stored())
            plan.applied.mentioned = _people(batch)
        else:
            plan = Plan(batch, stored)
        named = unsending.named_in(self._batch)
        if within is None and self._may_repeat and not named and self._is_one_statement(plan):
            if plan.messages or plan.conversations or plan.raws or self._batch.spans:
                await self._write_planned(plan)
            return plan.applied
        async with self._connection.transaction():
            await self._write(plan)
            await self._write_letters(plan, named)
            if self._batch.requests:
                await insert_requests(self._connection, self._batch.requests)
            if within is not None:
                await within(self._connection)
        return plan.applied

    def _is_one_statement(self, plan: Plan) -> bool:
        """Tell whether the statement that writes the planned rows is all there is to do."""
        batch = self._batch
        more = (batch.reactions, batch.conversation_tags, batch.events, batch.dead, batch.requests)
        then = (plan.expected, plan.recount, plan.newly_gone, plan.to_hold())
        return not any((*more, *then))

    async def _look(self) -> Stored:
        """Find what is stored of the batch; take out of it who is erased."""
        batch = self._batch
        self._asked = erasing.asked(batch)
        conversations = sorted(_people(batch))
        [found] = await self._connection.fetch(
            _SQL["look"],
            *_split(self._asked),
            [identity.hex() for identity in batch.raws],
            self._since,
            self._until,
            [page_id for page_id, _ in batch.messages],
            [mid for _, mid in batch.messages],
            [conversation_id(*key) for key in conversations],
        )
        if found["erased"]:
            erased = {tuple(one) for one in found["erased"]}
            erasing.take_out(batch, erased)
            self._asked = [one for one in self._asked if one not in erased]
        messages = [_row(MessageRow, _MESSAGE, row) for row in found["messages"]]
        known = [_row(ConversationRow, _CONVERSATION, row) for row in found["conversations"]]
        return Stored(
            messages={(row.page_id, row.mid): row for row in messages},
            conversations=dict.fromkeys(conversations)
            | {(row.page_id, row.participant_id): row for row in known},
            kept={identity.bytes for identity in found["kept"]},
        )

    async def _write(self, plan: Plan) -> None:
        if self._batch.reactions:
            await self._write_reactions(plan)
        if self._batch.conversation_tags:
            await self._write_tags(plan)
        if self._batch.events:
            rows = list(self._batch.events.values())
            await self._connection.execute(_SQL["insert_events"], *columns(rows))
        if held := plan.to_hold():
            unsent = await self._connection.fetch(_SQL["hold_messages"], *_split(held))
            plan.found_unsent((row["page_id"], row["mid"]) for row in unsent)
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
            unsends = [row.identity.hex() for row in plan.raws if row.is_unsend]
            await self._connection.execute(_SQL["forget_raw_events"], *gone, unsends)
        if not plan.held:
            await self._connection.execute(
                _SQL["forget_new_raw_events"],
                [row.identity.hex() for row in plan.raws if not row.is_unsend],
                self._since,
            )

    async def _write_letters(self, plan: Plan, named: set[unsending.Named]) -> None:
        """Keep dead letters, and take what was unsent out of whatever may name it."""
        if plan.newly_gone or named:
            await unsending.begin(self._connection, unsends=bool(plan.newly_gone))
        if self._batch.dead:
            await insert_dead_letters(self._connection, self._batch.dead)
        gone = plan.newly_gone | await unsending.unsent_among(self._connection, named)
        if gone:
            await unsending.forget(self._connection, gone)

    async def _write_planned(self, plan: Plan) -> None:
        changes, spans = plan.changes(), self._batch.spans
        kept = sorted(plan.raws, key=attrgetter("identity"))
        raws = _columns(kept, 8)[:7]
        raws[1] = [row.identity.hex() for row in kept]
        done = await self._fetch_unless_undone(
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
            self._may_repeat and not plan.expected,
            *_split(self._asked),
        )
        if plan.holds(done["messages"], done["conversations"]):
            return
        if self._may_repeat:
            raise _OvertakenError
        # The rows are right, whatever was expected; of what changed nobody knows for certain.
        _log.error("plan_never_held", messages=len(plan.messages))
        plan.held = False
        plan.recount |= _people(self._batch)

    async def _fetch_unless_undone(self, sql: str, *arguments: Any) -> asyncpg.Record:
        try:
            [done] = await self._connection.fetch(sql, *arguments)
        except asyncpg.PostgresError as error:
            if error.sqlstate == _UNDONE:
                raise _OvertakenError from None
            raise
        return done

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


def _split(keys: Sequence[tuple[_Page, str]]) -> tuple[list[_Page], list[str]]:
    return [key[0] for key in keys], [key[1] for key in keys]


async def insert_dead_letters(connection: Connection, letters: Sequence[DeadLetter]) -> list[int]:
    """Keep what could not become rows; the same bytes for the same reason are kept once.

    Return the ids of those that were not open already.
    """
    opened = await connection.fetch(_SQL["insert_dead_letters"], *columns([*letters]))
    for letter in letters:
        metrics.dead_letters.labels(letter.reason).inc()
    return [row["id"] for row in opened]
