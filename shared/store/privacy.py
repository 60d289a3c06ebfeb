"""What Facebook asked of us about people, and what became of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct, field

from shared import metrics
from shared.store import queries
from shared.store.database import Connection, Database
from shared.store.rows import PrivacyRequest, columns

_SQL = queries.load("privacy.sql")

RequestStatus: TypeAlias = Literal["unresolved", "received", "erased"]
"""A data deletion waits for a person, or for a worker, or is done."""


class Received(Struct, frozen=True):
    """A data deletion to be done, and whom it is about: (entry id, PSID or IGSID)."""

    code: str
    people: list[tuple[str, str]] = field(default_factory=list)


class State(Struct, frozen=True, kw_only=True):
    """How far a data deletion is."""

    status: RequestStatus
    received_at: datetime
    finished_at: datetime | None


async def insert_requests(connection: Connection, requests: Sequence[PrivacyRequest]) -> None:
    """Keep callbacks with an audit line each; one that is known is not counted again."""
    for row in await connection.fetch(_SQL["insert_requests"], *columns([*requests])):
        metrics.privacy_requests.labels(row["kind"], row["status"]).inc()


async def received(database: Database) -> list[Received]:
    """Return the data deletions that can be done."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["received_requests"])
    found: dict[str, Received] = {}
    for row in rows:
        request = found.setdefault(row["code"], Received(row["code"]))
        # Erased a moment ago, the person is nobody's user any more: only the end is missing.
        if row["page_id"] is not None:
            request.people.append((row["page_id"], row["participant_id"]))
    return list(found.values())


async def finish(database: Database, code: str) -> bool:
    """Note that a data deletion is done; False if it was before, or if there is none."""
    async with database.connection() as connection:
        return await connection.fetchval(_SQL["finish_request"], code) is not None


async def state(database: Database, code: str) -> State | None:
    """Return how far a data deletion is; None if there is none, or none yet."""
    async with database.connection(wait=1) as connection:
        row = await connection.fetchrow(_SQL["request_status"], code)
    return None if row is None else State(**row)
