"""Deletes messages older than MESSAGE_RETENTION, and all that hangs on them or is as old.

Messages are found conversation by conversation, through the index that readers use: another one by
time would be paid for by every message that comes in.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import Struct, field

from shared.store import queries
from shared.store.database import Database

_SQL = queries.load("expiring.sql")
_LOOK = _SQL["look"].format(stub_ms=_SQL["stub_ms"])
_DELETE_MESSAGES = _SQL["delete_messages"].format(stub_ms=_SQL["stub_ms"])
_RECOUNT = queries.load("queries.sql")["recount_conversations"]

_LOOKED_AT = 1_000
_ROWS_AT_ONCE = 500


class Touched(Struct, frozen=True):
    """A conversation that lost messages, or is gone."""

    page_id: str
    conversation_id: UUID


class Round(Struct):
    """What a round of expiry did: rows deleted by table, the conversations to be announced.

    `more`: the pass is not at its end.
    """

    rows: Counter[str] = field(default_factory=Counter)
    touched: list[Touched] = field(default_factory=list)
    more: bool = False


class _Found(Struct, frozen=True):
    page_id: str
    participant_id: str
    id: UUID
    is_expired: bool


async def expire_some(database: Database, horizon_ms: int) -> Round:
    """Go a little further through all conversations; nothing is done within an hour of a pass."""
    async with database.connection() as connection:
        place = await connection.fetchrow(_SQL["place"])
        if place is None:
            return Round()
        rows = await connection.fetch(_LOOK, horizon_ms, *place, _LOOKED_AT)
    found = [_Found(*row) for row in rows]
    done = Round(more=len(found) == _LOOKED_AT)
    expired = [one for one in found if one.is_expired]
    while expired and await _expire(database, horizon_ms, expired, done):
        pass
    if not done.more:
        await _expire_the_rest(database, horizon_ms, done)
    last = ("", "") if not done.more else (found[-1].page_id, found[-1].participant_id)
    async with database.connection() as connection:
        await connection.execute(_SQL["move_place"], *last)
    return done


async def _expire(
    database: Database, horizon_ms: int, expired: Sequence[_Found], done: Round
) -> bool:
    """Delete a few expired messages, and what then is empty; tell whether there may be more."""
    async with database.transaction() as connection:
        lost = await connection.fetch(
            _DELETE_MESSAGES,
            horizon_ms,
            [one.page_id for one in expired],
            [one.participant_id for one in expired],
            _ROWS_AT_ONCE,
        )
        ids = [one.id for one in expired]
        await connection.execute(_SQL["lock_conversations"], ids)
        await connection.execute(
            _RECOUNT,
            [one.page_id for one in expired],
            [one.participant_id for one in expired],
            ids,
        )
        gone = {
            row["id"]
            for row in await connection.fetch(_SQL["delete_conversations"], horizon_ms, ids)
        }
        shown = {(row["page_id"], row["participant_id"]) for row in lost if row["was_shown"]}
        touched = [
            one for one in expired if one.id in gone or (one.page_id, one.participant_id) in shown
        ]
        await connection.execute(
            _SQL["insert_changes"],
            [one.page_id for one in touched],
            ["" if one.id in gone else one.participant_id for one in touched],
            [one.id for one in touched],
        )
    messages: int = sum(row["messages"] for row in lost)
    done.rows["messages"] += messages
    done.rows["reactions"] += lost[0]["reactions"] if lost else 0
    done.rows["conversations"] += len(gone)
    done.touched += [Touched(one.page_id, one.id) for one in touched]
    return messages >= _ROWS_AT_ONCE


async def _expire_the_rest(database: Database, horizon_ms: int, done: Round) -> None:
    for table in ("events", "dead_letters"):
        gone = _ROWS_AT_ONCE
        while gone == _ROWS_AT_ONCE:
            async with database.connection() as connection:
                gone = await connection.fetchval(_SQL[f"delete_{table}"], horizon_ms, _ROWS_AT_ONCE)
            done.rows[table] += gone


async def note(database: Database, horizon: datetime, rows: Counter[str]) -> None:
    """Write the audit line of what expired: how many rows of which table, older than what."""
    counts = msgspec.json.encode(+rows).decode()
    async with database.connection() as connection:
        await connection.execute(
            _SQL["insert_audit"], "expire", horizon.isoformat(timespec="seconds"), counts
        )
