"""The JSON that goes in and out: camelCase names, times in ISO 8601 UTC."""

from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from msgspec import Meta, Raw, Struct

from shared.store.keys import Scope
from shared.store.pages import Status
from shared.store.reading import Conversation, Message, PageName
from shared.store.runs import Mode
from shared.store.runs import Status as State


class Asked(Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a client sends; a name nobody knows is an error, not ignored.

    `also_schema` is what JSON Schema can say of it beyond its fields.
    """

    also_schema: ClassVar[dict[str, Any]] = {}


class Told(Struct, kw_only=True, rename="camel"):
    """What a client gets."""


class SessionInfo(Told):
    """Who is signed in; `pages` are Facebook's ids, null: all."""

    name: str
    scope: Scope
    pages: list[str] | None
    expires_at: datetime | None


class Budget(Told):
    """How much of Facebook's limits a Page has used, and until when it is held back."""

    usage_percent: int | None
    hold_until: datetime | None


class Progress(Told):
    """How far a sync has come: conversations `synced` of `total`, where that is known."""

    synced: int
    total: int | None
    inserted: int
    updated: int
    eta_seconds: int | None


class Page(Told):
    """A Page. `conversations` counts those we keep; `run` is the sync under way or queued."""

    id: UUID
    facebook_page_id: str
    instagram_id: str | None
    name: str
    status: Status
    status_reason: str | None
    is_active: bool
    last_synced_at: datetime | None
    last_event_at: datetime | None
    proven_at: datetime | None
    proven_level: str | None
    conversations: int
    run: "Job | None"
    budget: Budget | None


class PageSlice(Told):
    """The Pages a key sees."""

    data: list[Page]


class SyncAnswer(Told):
    """The end of a sync. `sync_mode` is `full` or `incremental`."""

    success: bool
    synced: int
    inserted: int
    updated: int
    skipped: int
    total: int
    events_created: int
    sync_mode: str
    message: str
    job_id: UUID
    duration: int
    complete: bool
    history_complete: bool


class PageResult(Told, omit_defaults=True):
    """One Page's part of a sync of all; `page_id` is Facebook's."""

    page_id: str
    page_name: str
    success: bool
    synced: int
    inserted: int
    updated: int
    sync_mode: str | None = None
    job_id: UUID | None = None
    error: str | None = None


class Totals(Told):
    """All Pages' parts of a sync, added up."""

    total_synced: int
    total_inserted: int
    total_updated: int
    success_count: int
    failure_count: int


class SyncAllAnswer(Told):
    """The end of a sync of all Pages."""

    success: bool
    total_pages: int
    results: list[PageResult]
    totals: Totals
    duration: int
    message: str
    job_id: UUID
    complete: bool
    history_complete: bool


# A union that msgspec cannot tell apart; both are described where they are answers themselves.
_RESULT = {
    "anyOf": [
        {"$ref": "#/components/schemas/SyncAnswer"},
        {"$ref": "#/components/schemas/SyncAllAnswer"},
        {"type": "null"},
    ]
}


class Job(Told):
    """A sync. `result` is its answer once it has ended.

    One that is `interrupted` goes on at `resume_at`, or when a person has seen to `error`.
    """

    job_id: UUID
    state: State
    mode: Mode
    page: PageName | None
    progress: Progress
    started_at: datetime | None
    finished_at: datetime | None
    resume_at: datetime | None
    error: str | None
    result: Annotated[Raw, Meta(extra_json_schema=_RESULT)]


class LiveChange(Told):
    """A conversation that changed; `kinds` says how (`message`, `edit`, `read`, `tag`, …)."""

    conversation_id: UUID
    page_id: str
    participant_id: str
    kinds: list[str]
    at: datetime


class ConversationSlice(Told):
    """Some conversations; `next_cursor` is where the next slice begins, null at the end."""

    data: list[Conversation]
    next_cursor: str | None


class MessageSlice(Told):
    """Some messages; `next_cursor` is where the next slice begins, null at the end."""

    data: list[Message]
    next_cursor: str | None
