"""What the simulator is built from (`Config`) and how it behaves at the moment (`Modes`).

The description of each field is also the help of its command-line option. Where Facebook's
behaviour is undocumented there is a mode for each answer.
"""

from typing import Annotated, Literal, get_type_hints

from msgspec import Meta, Struct, field

Chance = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]


def _is(description: str) -> Meta:
    return Meta(description=description)


class Modes(Struct, kw_only=True, forbid_unknown_fields=True):
    """Behaviour that may change while the simulator runs; 0 switches a limit off."""

    since: Annotated[
        Literal["ignore", "honour", "exclusive", "refuse"],
        _is("what `since` does on the conversations edge"),
    ] = "ignore"
    updated_after: Annotated[
        Literal["ignore", "honour"],
        _is("what `updated_after_ms` and `updated_before_ms` do from v26.0 on"),
    ] = "ignore"
    proof: Annotated[
        Literal["off", "checked", "required"],
        _is("whether appsecret_proof is looked at, refused when wrong, or refused when missing"),
    ] = "checked"
    twenty_messages: Annotated[
        Literal["off", "instagram", "both"],
        _is("where messages below the 20 newest are listed without their content"),
    ] = "instagram"
    cursors: Annotated[
        Literal["position", "offset"],
        _is("offset: cursors slip when a conversation jumps to the front"),
    ] = "position"
    cursor_life: Annotated[Seconds, _is("age in seconds at which a cursor is refused")] = 0
    trailing_next: Annotated[
        bool, _is("let a full last slice have a `next` that leads to an empty one")
    ] = False
    latency: Annotated[Seconds, _is("seconds that every HTTP request takes at least")] = 0
    max_cost: Annotated[
        Count, _is("rows times nested rows above which Facebook wants less data to be asked for")
    ] = 0

    page_calls_per_second: Annotated[
        Count, _is("calls in any second that read conversations of one account (613)")
    ] = 0
    messenger_budget: Annotated[Count, _is("calls in a window for each Page (80006)")] = 0
    app_budget: Annotated[Count, _is("calls in a window for the whole app (4)")] = 0
    budget_window: Annotated[
        float, Meta(gt=0), _is("seconds of that window, on the accelerated clock")
    ] = 3600

    drop: Annotated[Chance, _is("share of updates no webhook tells of")] = 0
    duplicate: Annotated[Chance, _is("share of webhook bodies sent twice")] = 0
    delay: Annotated[Chance, _is("share of webhook bodies sent late")] = 0
    delay_seconds: Annotated[Seconds, _is("seconds by which they are late at most")] = 2
    reorder: Annotated[Chance, _is("share of webhook bodies with their updates shuffled")] = 0
    standby: Annotated[
        Chance, _is("share of updates sent as standby, as if another app owned the thread")
    ] = 0
    keep_retrying: Annotated[
        bool, _is("retry a failed webhook for 36 hours and never unsubscribe the Page")
    ] = False
    webhook_timeout: Annotated[
        float, Meta(gt=0), _is("seconds after which an unanswered webhook has failed")
    ] = 20

    events_per_second: Annotated[Seconds, _is("live traffic over all Pages")] = 0
    events_per_post: Annotated[
        int, Meta(ge=1, le=1000), _is("updates of live traffic that share a body, at most")
    ] = 1


class Config(Struct, frozen=True, kw_only=True):
    """Everything fixed at the start; the same values give the same truth."""

    host: Annotated[str, _is("address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535), _is("port to listen on; 0 takes a free one")] = 0
    seed: Annotated[int, _is("ids, names, texts and distances in time come from it")] = 1
    start_ms: Annotated[
        int, _is("milliseconds since the epoch that times count back from; 0: the present")
    ] = 0
    pages: Annotated[Count, _is("how many Pages")] = 1
    conversations: Annotated[Count, _is("Messenger conversations in each Page's inbox")] = 20
    instagram: Annotated[
        Count, _is("Instagram conversations of each Page; 0: no Page has such an account")
    ] = 0
    other_folders: Annotated[
        Count, _is("Messenger conversations in each of page_done, other, pending and spam")
    ] = 0
    messages: Annotated[Count, _is("messages in each conversation")] = 30
    history_days: Annotated[
        Seconds, _is("days since the last message of the quietest conversation")
    ] = 90
    webhook_url: Annotated[str, _is("where webhooks are posted; empty: nowhere")] = ""
    database_url: Annotated[
        str,
        _is(
            "Postgres of the receiver: how long new messages take into its table is printed at "
            "the end; empty: not measured"
        ),
    ] = ""
    app_id: Annotated[str, _is("the app's id")] = "1001001001001001"
    app_secret: Annotated[str, _is("signs webhooks and proofs")] = "simulator-app-secret"  # noqa: S105 - a secret that is none
    verify_token: Annotated[str, _is("told to the webhook URL when it is asked for consent")] = (
        "simulator-verify-token"  # noqa: S105 - a secret that is none
    )
    clock_speed: Annotated[
        float,
        Meta(gt=0),
        _is("how many times faster webhook retries and call budgets run than real time"),
    ] = 1
    clock_skew: Annotated[
        float, _is("seconds by which Facebook's clock runs ahead of this machine's")
    ] = 0
    modes: Modes = field(default_factory=Modes)


def descriptions(type_: type[Struct]) -> dict[str, str]:
    """Return what each described field of `Config` or `Modes` means."""
    return {
        name: "".join(meta.description or "" for meta in hint.__metadata__)
        for name, hint in get_type_hints(type_, include_extras=True).items()
        if hasattr(hint, "__metadata__")
    }
