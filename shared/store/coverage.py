"""How much of its Pages is stored: sync points, histories, people asked about, verifications."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias
from uuid import UUID

from msgspec import Struct

from shared.events import Platform
from shared.store import people, queries
from shared.store.database import Connection, Database
from shared.store.people import Matter

_SQL = queries.load("coverage.sql")

Level: TypeAlias = Literal["newest", "deep"]
"""How closely a Page was verified: the newest messages of each conversation, or every one."""


class Advance(Struct, frozen=True, kw_only=True):
    """A listing was walked to its end: it is stored up to `synced_to_ms`.

    `whole`: the end was the very bottom.
    """

    platform: Platform
    folder: str
    synced_to_ms: int
    whole: bool


class SetAside(Struct, frozen=True, kw_only=True):
    """A listing cannot be read, for a reason."""

    platform: Platform
    folder: str
    reason: str


class History(Struct, frozen=True, kw_only=True):
    """Graph shows nothing of a conversation that is not stored, or (not `complete`) it may."""

    page_id: str
    participant_id: str
    complete: bool


class Link(Struct, frozen=True, kw_only=True):
    """Facebook names the Instagram account that is linked to the Page."""

    instagram_id: str


class PersonAsked(Struct, frozen=True, kw_only=True):
    """A person was asked about; the answer is as of then, or there was none."""

    matter: Matter
    page_id: str
    participant_id: str
    as_of_ms: int | None


class Finding(Struct, frozen=True, kw_only=True):
    """Graph has a message, or (`mid` empty) a conversation, that we have not."""

    page_id: str
    participant_id: str
    thread_id: str
    mid: str = ""


class Repaired(Struct, frozen=True, kw_only=True):
    """What a finding named is stored now, or known to be unreadable."""

    thread_id: str
    mid: str


class Listed(Struct, frozen=True, kw_only=True):
    """A verification met these conversations."""

    page_id: str
    participant_ids: tuple[str, ...]


class Unlisted(Struct, frozen=True, kw_only=True):
    """We have messages, or (`mids` an empty one) a conversation, that Graph does not list."""

    page_id: str
    participant_id: str
    mids: tuple[str, ...]


class AllListed(Struct, frozen=True, kw_only=True):
    """A verification met every conversation that Graph lists and that was there before a time."""

    page_ids: tuple[str, ...]
    before_ms: int


class Proven(Struct, frozen=True, kw_only=True):
    """Everything Graph has of the Page is stored, as of a reply; `level` says how closely."""

    level: Level
    as_of_ms: int


Mark: TypeAlias = (
    Advance
    | SetAside
    | History
    | Link
    | PersonAsked
    | Finding
    | Repaired
    | Listed
    | Unlisted
    | AllListed
    | Proven
)


async def keep(connection: Connection, run_id: UUID, page_id: str, mark: Mark) -> None:
    """Write what a sync of a Page proved, within the transaction that stores what proves it."""
    match mark:
        case Advance():
            synced_to = _time(mark.synced_to_ms)
            await connection.execute(
                _SQL["advance_point"], page_id, mark.platform, mark.folder, synced_to, mark.whole
            )
            await connection.execute(_SQL["refresh_last_synced"], page_id)
        case SetAside():
            await connection.execute(
                _SQL["set_aside"], page_id, mark.platform, mark.folder, mark.reason
            )
            await connection.execute(_SQL["refresh_last_synced"], page_id)
        case Link():
            await connection.execute(_SQL["link_instagram"], page_id, mark.instagram_id)
            await connection.execute(_SQL["refresh_last_synced"], page_id)
        case History():
            await connection.execute(
                _SQL["set_history"], mark.page_id, mark.participant_id, mark.complete
            )
        case PersonAsked():
            at = datetime.now(UTC) if mark.as_of_ms is None else _time(mark.as_of_ms)
            await people.asked(connection, mark.matter, mark.page_id, mark.participant_id, at)
        case Finding():
            await connection.execute(
                _SQL["insert_finding"],
                run_id, mark.page_id, mark.participant_id, mark.thread_id, mark.mid,
            )  # fmt: skip
        case Repaired():
            await connection.execute(_SQL["repair_finding"], run_id, mark.thread_id, mark.mid)
        case Listed():
            await connection.execute(
                _SQL["insert_listed"], run_id, mark.page_id, list(mark.participant_ids)
            )
        case Unlisted():
            await connection.execute(
                _SQL["insert_unlisted"],
                run_id, mark.page_id, mark.participant_id, list(mark.mids),
            )  # fmt: skip
        case AllListed():
            await connection.execute(
                _SQL["compare_listed"], run_id, list(mark.page_ids), mark.before_ms
            )
        case Proven():
            await connection.execute(_SQL["prove_page"], page_id, mark.level, _time(mark.as_of_ms))


class Point(Struct, frozen=True, kw_only=True):
    """How far one listing of a Page is stored; `set_aside` says why it cannot be read."""

    platform: Platform
    folder: str
    synced_to: datetime | None
    walked_at: datetime | None
    set_aside: str | None
    set_aside_at: datetime | None


async def points(database: Database, page_id: str) -> list[Point]:
    """Return how far each listing of a Page is stored."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["sync_points"], page_id)
    return [Point(**row) for row in rows]


class Known(Struct, frozen=True):
    """A stored conversation: Graph's `updated_time` of it, and when Graph said so."""

    updated_ms: int
    as_of_ms: int


async def known_conversations(
    database: Database, page_id: str, participant_ids: Sequence[str]
) -> dict[str, Known]:
    """Return what is known of those conversations that were stored whole, by participant."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["known_conversations"], page_id, participant_ids)
    return {
        row["participant_id"]: Known(row["updated_ms"], row["updated_as_of_ms"]) for row in rows
    }


class OpenHistory(Struct, frozen=True, kw_only=True):
    """A conversation whose older messages are not all stored yet."""

    page_id: str
    platform: Platform
    participant_id: str
    thread_id: str


async def open_histories(
    database: Database, page_ids: Sequence[str], *, but: Sequence[str], most: int
) -> list[OpenHistory]:
    """Return conversations with open histories, newest first, leaving out participants `but`."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["open_histories"], page_ids, but, most)
    return [OpenHistory(**row) for row in rows]


async def has_open_history(database: Database, page_ids: Sequence[str]) -> bool:
    """Tell whether a Page (all the ids its rows go by) has a conversation with an open history."""
    async with database.connection() as connection:
        return bool(await connection.fetchval(_SQL["has_open_history"], page_ids))


async def findings(database: Database, run_id: UUID, *, open_only: bool = False) -> list[Finding]:
    """Return what a verification found missing, with `open_only` what is not repaired yet."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["findings"], run_id, open_only)
    return [Finding(**row) for row in rows]


async def unlisted(database: Database, run_id: UUID) -> list[tuple[str, str, str]]:
    """Return what a verification found that Graph does not list: Page, participant, message.

    The message is empty for a whole conversation.
    """
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["unlisted"], run_id)
    return [(row["page_id"], row["participant_id"], row["mid"]) for row in rows]


class Span(Struct, frozen=True):
    """The times of a conversation's messages that a slice speaks for."""

    participant_id: str
    from_ms: int
    to_ms: int


async def unlisted_messages(
    database: Database, page_id: str, spans: Sequence[Span], mids: Sequence[str]
) -> list[Unlisted]:
    """Return our messages of these times that are not among `mids`."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            _SQL["unlisted_messages"],
            page_id,
            [span.participant_id for span in spans],
            [span.from_ms for span in spans],
            [span.to_ms for span in spans],
            mids,
        )
    ours: dict[str, list[str]] = {}
    for row in rows:
        ours.setdefault(row["participant_id"], []).append(row["mid"])
    return [
        Unlisted(page_id=page_id, participant_id=person, mids=tuple(mids))
        for person, mids in ours.items()
    ]


async def forget_listed(database: Database, run_id: UUID) -> None:
    """Forget which conversations a verification met, in small transactions."""
    gone = 1
    while gone:
        async with database.connection() as connection:
            gone = await connection.fetchval(_SQL["forget_listed"], run_id)


async def missing_conversations(
    database: Database, page_id: str, participant_ids: Sequence[str]
) -> set[str]:
    """Return those participants with whom no conversation is stored."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["missing_conversations"], page_id, participant_ids)
    return {row[0] for row in rows}


async def missing_messages(database: Database, page_id: str, mids: Sequence[str]) -> set[str]:
    """Return those messages that are not stored: not even as unreadable or taken back."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["missing_messages"], page_id, mids)
    return {row[0] for row in rows}


class PageActivity(Struct, frozen=True, kw_only=True):
    """What tells whether a Page is due for a walk, and how lively it is.

    `asked_at` is when a walk was last asked for, `walked_at` when one last listed everything,
    `recent` how many conversations had a message in the last seven days, up to 500.
    """

    page_id: str
    is_walking: bool
    asked_at: datetime | None
    walked_at: datetime | None
    proven_at: datetime | None
    proven_level: Level | None
    last_message_at: datetime | None
    recent: int


async def page_activity(database: Database) -> list[PageActivity]:
    """Return all Pages that can be synced."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["page_activity"])
    return [PageActivity(**row) for row in rows]


class WatchedPage(Struct, frozen=True, kw_only=True):
    """A Page whose subscription is to be checked; `token` is encrypted.

    `seen_at` is when it was last seen subscribed, `last_message_at` when we last heard of anybody.
    """

    page_id: str
    instagram_id: str | None
    token: bytes
    seen_at: datetime | None
    last_message_at: datetime | None


async def to_watch(
    database: Database, every: timedelta, most: int, page_id: str | None = None
) -> list[WatchedPage]:
    """Return Pages whose subscription was not checked for so long, or of these one."""
    async with database.connection() as connection:
        rows = await connection.fetch(_SQL["to_watch"], every, most, page_id)
    return [WatchedPage(**row) for row in rows]


async def seen_subscribed(database: Database, page_id: str, at: datetime) -> None:
    """Remember that a Page was subscribed."""
    async with database.connection() as connection:
        await connection.execute(
            _SQL["advance_point"], page_id, "messenger", "subscription", at, False
        )


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
