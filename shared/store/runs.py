"""The syncs of Pages as rows: asked for, taken under a lease, kept going, ended."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeAlias
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Struct

from shared.errors import NotFound, PagewireError
from shared.store import coverage, erasing, queries
from shared.store.coverage import Mark
from shared.store.database import Connection, Database

Mode: TypeAlias = Literal[
    "all", "full", "incremental", "repair", "history", "labels", "profiles", "verify"
]
Status: TypeAlias = Literal["queued", "running", "complete", "interrupted", "failed"]

LEASE = timedelta(seconds=15)
"""For so long a run stays whose it is when nothing more is heard of them."""

_SQL = queries.load("runs.sql")
_WALKS = ("full", "incremental", "repair")


class LeaseLost(PagewireError):
    """Somebody else has gone on with this run; nothing of this step is kept."""


class Counts(Struct, kw_only=True, rename="camel"):
    """What a run did so far.

    `total` conversations were gone through: `synced` ones were stored, `skipped` ones known
    already; a verification counts what was `missing` and what it `repaired`. `calls` were made of
    the Graph API.
    """

    total: int = 0
    synced: int = 0
    inserted: int = 0
    updated: int = 0
    skipped: int = 0
    events_created: int = 0
    missing: int = 0
    repaired: int = 0
    calls: int = 0


class Run(Struct, frozen=True, kw_only=True):
    """One sync. `resume_at` is when an interrupted one goes on, None where a person must act."""

    id: UUID
    page_id: str | None
    mode: Mode
    status: Status
    priority: int
    since: datetime | None
    options: dict[str, bool]
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    resume_at: datetime | None
    counts: Counts
    error_code: str | None
    error: str | None


class Taken(Struct, frozen=True, kw_only=True):
    """A run under our lease, and what is needed to go on with it.

    `token` is encrypted. `dropped_at` is when the lease of an earlier holder ended who died.
    """

    id: UUID
    page_id: str
    page_uuid: UUID
    page_name: str
    instagram_id: str | None
    token: bytes
    mode: Mode
    priority: int
    since: datetime | None
    options: dict[str, bool]
    started_at: datetime
    counts: Counts
    place: bytes | None
    tries: int
    dropped_at: datetime | None


class Waking(Struct, frozen=True):
    """Something to go on with: a run, in whose company so many wait."""

    id: UUID
    priority: int
    runs: int


async def request(
    database: Database,
    page_id: str,
    mode: Mode,
    *,
    priority: int,
    since: datetime | None = None,
    options: dict[str, bool] | None = None,
) -> tuple[Run, bool]:
    """Ask for a sync of the Page with Facebook's id `page_id`; tell whether it joined another.

    The first sync of a Page is a full one. An incremental one joins any walk of the Page that is
    not done. A full one joins only a full one, or makes one of a walk that has not begun;
    otherwise it follows. A repair or a verification joins one like it that has not begun, which
    then does what either asked for. Raises NotFound for an unknown Page.
    """
    async with database.transaction() as connection:
        run_id, joined = await _request(connection, page_id, mode, priority, since, options)
        return await _find(connection, run_id), joined


async def request_all(
    database: Database,
    *,
    full: bool,
    priority: int,
    pages: Sequence[str] | None = None,
) -> Run:
    """Ask for a sync of many Pages (all that are active or parked, unless given) as one batch.

    Raises NotFound when there is none, or for an unknown one.
    """
    mode: Mode = "full" if full else "incremental"
    async with database.transaction() as connection:
        if pages is None:
            pages = [row[0] for row in await connection.fetch(_SQL["active_pages"])]
        if not pages:
            raise NotFound("There is no Page to sync.")
        batch: UUID = await connection.fetchval(_SQL["insert_batch"], priority)
        members = [
            (await _request(connection, page_id, mode, priority, None, None))[0]
            for page_id in sorted(pages)
        ]
        await connection.execute(_SQL["insert_members"], batch, members)
        await connection.execute(_SQL["settle_batches"], members)
        return await _find(connection, batch)


async def _request(
    connection: Connection,
    page_id: str,
    mode: Mode,
    priority: int,
    since: datetime | None,
    options: dict[str, bool] | None,
) -> tuple[UUID, bool]:
    if mode == "incremental" and not await connection.fetchval(_SQL["was_walked"], page_id):
        mode = "full"
    lane = "walk" if mode in _WALKS else mode
    await connection.execute(_SQL["lock_lane"], f"{page_id}/{lane}")
    for run in await connection.fetch(_SQL["open_runs"], page_id, lane):
        joins = _joins(mode, run["mode"])
        if joins == "never":
            continue
        both = _either(msgspec.json.decode(run["options"]), options or {})
        joined: UUID | None = await connection.fetchval(
            _SQL["join_run"],
            run["id"], priority, since, mode == "full", _json(both), joins == "always",
        )  # fmt: skip
        if joined is not None:
            return joined, True
    run_id: UUID | None = await connection.fetchval(
        _SQL["insert_run"], page_id, mode, priority, since, _json(options or {})
    )
    if run_id is None:
        raise NotFound(f"No Page has the id {page_id}.")
    return run_id, False


def _joins(mode: Mode, other: Mode) -> Literal["always", "unbegun", "never"]:
    """Tell whether a request is served by another run in its lane, or by one that has not begun."""
    match mode:
        case "full" if other == "incremental":
            return "unbegun"
        case "full":
            return "always" if other == "full" else "never"
        case "repair" | "verify":
            return "unbegun" if other == mode else "never"
        case _:
            return "always"


def _either(one: dict[str, bool], other: dict[str, bool]) -> dict[str, bool]:
    return {name: one.get(name, False) or other.get(name, False) for name in {*one, *other}}


async def find(database: Database, run_id: UUID) -> Run:
    """Return a run; raises NotFound."""
    async with database.connection() as connection:
        return await _find(connection, run_id)


async def members(database: Database, batch_id: UUID) -> list[tuple[str, Run]]:
    """Return the runs of a batch, each with its Page's name, by name."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["member_runs"], batch_id)
    return [(row["page_name"], _run(row)) for row in rows]


async def take(database: Database, run_id: UUID, lease: UUID, most: int) -> list[Taken]:
    """Take a run and those that go together with it, `most` in all, under `lease`.

    Together go the runs of a batch, and those of one lane that are no walks. Taken are those that
    may go on now, that nobody holds, and whose Page is active.
    """
    async with database.connection() as connection:
        ids = [row[0] for row in await connection.fetch(_SQL["takable"], run_id, most)]
        if not ids:
            return []
        try:
            rows = await connection.fetch(_SQL["take_runs"], ids, lease, LEASE)
        except asyncpg.UniqueViolationError:
            # Another run of one of these Pages was taken at this moment.
            rows = []
            for one in ids:
                rows += await _take_one(connection, one, lease)
    return [_taken(row) for row in rows]


async def _take_one(connection: Connection, run_id: UUID, lease: UUID) -> list[asyncpg.Record]:
    try:
        return await connection.fetch(_SQL["take_runs"], [run_id], lease, LEASE)
    except asyncpg.UniqueViolationError:
        return []


async def next_due(database: Database, run_id: UUID) -> datetime | None:
    """Return when the next step of a run and its company may be taken, None for not soon."""
    async with database.connection() as connection:
        due: datetime | None = await connection.fetchval(_SQL["next_due"], run_id)
    return due


async def release(database: Database, lease: UUID) -> None:
    """Give back everything that is still under `lease`."""
    async with database.connection() as connection:
        await connection.execute(_SQL["release_leases"], lease)


async def changed_since(
    database: Database, page_ids: Sequence[str], since: datetime
) -> set[tuple[str, str]]:
    """Return the conversations of a Page, by key, that changed since then."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["changed_since"], page_ids, since)
    return {(row["page_id"], row["participant_id"]) for row in rows}


async def extend(database: Database, lease: UUID) -> None:
    """Keep everything under `lease` for another while."""
    async with database.connection() as connection:
        await connection.execute(_SQL["extend_leases"], lease, LEASE)


async def keep(
    connection: Connection,
    run: Taken,
    lease: UUID,
    *,
    place: bytes | None,
    counts: Counts,
    marks: Sequence[Mark],
) -> None:
    """Move a run's place within the transaction that stores what it stands for.

    Raises LeaseLost when the run is somebody else's now: then nothing of the transaction may stay.
    """
    for mark in marks:
        await coverage.keep(connection, run.id, run.page_id, mark)
    if place is None:
        return
    ids = [known for known in (run.page_id, run.instagram_id) if known]
    named = [(page_id, person) for page_id in ids for person in erasing.numbers(place)]
    kept = await connection.fetchval(
        _SQL["keep_place"],
        run.id, lease, place.decode(), _json(counts), LEASE,
        [page_id for page_id, _ in named], [person for _, person in named],
    )  # fmt: skip
    if kept is None:
        raise LeaseLost


async def leave(
    database: Database,
    run: Taken,
    lease: UUID,
    *,
    status: Literal["running", "interrupted"],
    resume_at: datetime | None,
    tries: int,
    counts: Counts,
    error_code: str | None = None,
    error: str | None = None,
) -> None:
    """Let go of a run that is not done; it goes on at `resume_at`.

    Interrupted without `resume_at`, it goes on once its Page is active again.
    """
    await _end(
        database, "leave_run", run, lease, status, resume_at, tries, error_code, error,
        _json(counts),
    )  # fmt: skip


async def end(
    database: Database,
    run: Taken,
    lease: UUID,
    *,
    status: Literal["complete", "failed"],
    counts: Counts,
    error_code: str | None = None,
    error: str | None = None,
) -> None:
    """End a run for good."""
    await _end(
        database, "end_run", run, lease, status, error_code, error, _json(counts)
    )  # fmt: skip


async def _end(
    database: Database, statement: str, run: Taken, lease: UUID, *values: object
) -> None:
    async with database.transaction() as connection:
        ended = await connection.fetchval(_SQL[statement], run.id, lease, *values)
        if ended is not None:
            await connection.execute(_SQL["settle_batches"], [run.id])


async def park(database: Database, run: Taken, reason: str) -> bool:
    """Park the Page of a run, unless its token was replaced since; tell whether it was parked."""
    async with database.connection() as connection:
        parked = await connection.fetchval(_SQL["park_page"], run.page_id, run.token, reason)
    return parked is not None


async def wake(database: Database, most: int) -> list[Waking]:
    """Return what may go on and is held by nobody; what was returned rests for half a minute."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["wake_runs"], most)
    waking: dict[object, Waking] = {}
    for row in rows:
        alone = row["id"] if row["lane"] == "walk" else (row["lane"], row["priority"])
        key = row["batch_id"] or alone
        known = waking.get(key, Waking(row["batch_id"] or row["id"], row["priority"], 0))
        waking[key] = Waking(known.id, min(known.priority, row["priority"]), known.runs + 1)
    return list(waking.values())


async def forget(database: Database, older_than: timedelta) -> None:
    """Delete runs that ended longer ago."""
    async with database.connection() as connection:
        await connection.execute(_SQL["forget_runs"], older_than)


async def _find(connection: Connection, run_id: UUID) -> Run:
    row = await connection.fetchrow(_SQL["find_run"], run_id)
    if row is None:
        raise NotFound(f"There is no sync {run_id}.")
    return _run(row)


def _run(row: asyncpg.Record) -> Run:
    told = {name: row[name] for name in Run.__struct_fields__}
    told["counts"] = msgspec.json.decode(row["counts"], type=Counts)
    told["options"] = msgspec.json.decode(row["options"])
    return Run(**told)


def _taken(row: asyncpg.Record) -> Taken:
    return Taken(
        id=row["id"],
        page_id=row["page_id"],
        page_uuid=row["page_uuid"],
        page_name=row["page_name"],
        instagram_id=row["instagram_id"],
        token=row["access_token"],
        mode=row["mode"],
        priority=row["priority"],
        since=row["since"],
        options=msgspec.json.decode(row["options"]),
        started_at=row["started_at"],
        counts=msgspec.json.decode(row["counts"], type=Counts),
        place=row["cursor"].encode() if row["cursor"] else None,
        tries=row["tries"],
        dropped_at=row["dropped_at"],
    )


def _json(value: Counts | dict[str, bool]) -> str:
    return msgspec.json.encode(value).decode()
