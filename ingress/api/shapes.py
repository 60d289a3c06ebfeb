"""The JSON that goes in and out: camelCase names, times in ISO 8601 UTC."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
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
    """How far a sync has come: `synced` conversations were gone through, of about `total`.

    `total` and `etaSeconds` are null where nobody knows: Facebook does not say how long a listing
    is. They are known of full syncs and verifications of a Page that was synced whole before, of
    histories, labels and names, and `total` of what has ended.
    """

    synced: int
    total: int | None
    inserted: int
    updated: int
    calls: int
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


class Letter(Told):
    """Something that could not become rows; `size` is in bytes."""

    id: int
    source: str
    reason: str
    error: str
    page_id: str | None
    first_seen: datetime
    tries: int
    size: int


class LetterGroup(Told):
    """The open letters of one reason."""

    reason: str
    count: int
    oldest: datetime
    newest: datetime


class LetterSlice(Told):
    """Some open letters, the newest first, and how many there are by reason."""

    groups: list[LetterGroup]
    data: list[Letter]
    next_cursor: str | None


class Discarded(Told):
    """How many letters were discarded."""

    count: int


class Strip(Told):
    """What all processes together do; null where nothing tells.

    `visible` is from a webhook's receipt to its announcement to readers. `durability_level` is
    what an acknowledged webhook survives: 3 power loss, 2 most of it, 1 a crash, 0 none.
    """

    events_per_second: float | None
    ack_p50_ms: float | None
    ack_p99_ms: float | None
    visible_p50_ms: float | None
    visible_p95_ms: float | None
    visible_p99_ms: float | None
    backlog_length: float | None
    backlog_age_seconds: float | None
    jobs_queued: float | None
    jobs_running: float | None
    cache_hit_rate: float | None
    pool_in_use: float | None
    pool_max: float | None
    dead_letters: float | None
    workers_alive: float | None
    durability_level: float | None


class Process(Told):
    """A process by its last heartbeat."""

    name: str
    kind: str
    host: str
    pid: int
    version: str
    started_at: datetime
    last_beat_at: datetime
    rss_bytes: int | None


class CronTask(Told):
    """Something that is done by itself."""

    name: str
    last_run_at: datetime | None
    next_run_at: datetime


class JobQueue(Told):
    """One of arq's queues; `due` jobs wait for a worker or run, `deferred` ones for their time."""

    name: str
    due: int
    deferred: int
    oldest_seconds: float | None


class JobKind(Told):
    """What became of the jobs of a kind since the workers started."""

    name: str
    done: int
    again: int
    given_up: int
    mean_ms: float


class Alert(Told):
    """Something that is wrong, and what to do about it."""

    level: Literal["warning", "error"]
    text: str
    fix: str


class Overview(Told):
    """Everything at a glance."""

    now: datetime
    strip: Strip
    workers: list[Process]
    jobs: list[Job]
    queues: list[JobQueue]
    kinds: list[JobKind]
    cron: list[CronTask]
    alerts: list[Alert]


class History(Told):
    """The strip's numbers of the last fifteen minutes, `step` seconds apart, the newest last."""

    step: int
    series: dict[str, list[float | None]]


class Arrival(Told):
    """Something that came in and was stored."""

    at: datetime
    page_id: str
    participant_id: str
    conversation_id: UUID
    kind: str
