"""What the simulator is built from (`Config`) and how it behaves at the moment (`Modes`)."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Chance = Annotated[float, Meta(ge=0, le=1)]
NotNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]


class Modes(Struct, kw_only=True, forbid_unknown_fields=True):
    """Behaviour that a test or an operator may change while the simulator runs.

    Where Facebook's behaviour is undocumented there is a mode for each answer. Durations are
    seconds; probabilities go from 0 to 1; 0 switches a limit off.
    """

    since: Literal["ignore", "honour", "exclusive", "refuse"] = "ignore"
    """What `since` on the conversations edge does; Meta's page says it is not available."""
    updated_after: Literal["ignore", "honour"] = "ignore"
    """What `updated_after_ms` and `updated_before_ms` do from v26.0 on."""
    proof: Literal["off", "checked", "required"] = "checked"
    """Whether `appsecret_proof` is looked at, refused when wrong, or refused when missing."""
    twenty_messages: Literal["off", "instagram", "both"] = "instagram"
    """Whose messages below the 20 newest are listed without their content."""
    cursors: Literal["position", "offset"] = "position"
    """`offset`: a conversation that jumps to the front makes a walk see another one twice."""
    cursor_life: NotNegative = 0
    """After how many seconds a cursor is refused."""
    trailing_next: bool = False
    """A full last slice has a `next` that leads to an empty one."""
    latency: NotNegative = 0
    """What every HTTP request takes at least."""
    max_cost: Count = 0
    """Rows times nested rows above which Facebook asks to reduce the amount of data."""

    page_calls_per_second: Count = 0
    """Calls in any second that read conversations, for each Page or Instagram account (613)."""
    messenger_budget: Count = 0
    """Calls in `budget_window` for each Page (80006)."""
    app_budget: Count = 0
    """Calls in `budget_window` for the whole app (4)."""
    budget_window: Annotated[float, Meta(gt=0)] = 3600

    drop: Chance = 0
    """Share of webhooks that are never sent."""
    duplicate: Chance = 0
    """Share of webhook bodies that are sent twice."""
    delay: Chance = 0
    """Share of webhook bodies that come late, by up to `delay_seconds`."""
    delay_seconds: NotNegative = 2
    reorder: Chance = 0
    """Share of webhook bodies whose entries stand in another order than they happened."""
    standby: Chance = 0
    """Share of messages that arrive as `standby`, as if another app owned the thread."""
    keep_retrying: bool = False
    """Retry a failed webhook for 36 hours and never unsubscribe the Page."""
    webhook_timeout: Annotated[float, Meta(gt=0)] = 20
    """After how many seconds an unanswered webhook counts as failed."""

    events_per_second: NotNegative = 0
    """Live traffic over all Pages."""
    events_per_post: Annotated[int, Meta(ge=1, le=1000)] = 1
    """At most so many events of live traffic share one POST."""


class Config(Struct, frozen=True, kw_only=True):
    """Everything fixed at the start; the same values give the same truth.

    Ids, names, texts and the distances between times come from `seed`; times count back from
    `start_ms`, which is the present unless given.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    start_ms: int | None = None
    pages: int = 1
    conversations: int = 20
    """Messenger conversations in each Page's inbox."""
    instagram: int = 0
    """Instagram conversations a Page; 0: no Page has an Instagram account."""
    other_folders: int = 0
    """Further Messenger conversations in each of page_done, other, pending and spam."""
    messages: int = 30
    """Messages in each conversation at the start."""
    history_days: float = 90
    """How far back the last message of the quietest conversation lies."""
    webhook_url: str | None = None
    app_id: str = "1001001001001001"
    app_secret: str = "simulator-app-secret"  # noqa: S105 - nobody's secret
    verify_token: str = "simulator-verify-token"  # noqa: S105 - nobody's secret
    clock_speed: float = 1
    clock_skew: float = 0
    modes: Modes = field(default_factory=Modes)
