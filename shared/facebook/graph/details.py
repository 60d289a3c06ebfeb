"""What the Graph API answers about Pages, apps, tokens and people, all of it small."""

from msgspec import Struct, field

from shared.facebook.graph.replies import Edge, Reply, decode
from shared.facebook.ids import id_text
from shared.facebook.text import clean


class Account(Struct, frozen=True, kw_only=True):
    """A Page that a user manages; `token` is its access token, if the user may have it."""

    page_id: str
    name: str
    token: str | None
    instagram_id: str | None
    tasks: tuple[str, ...]


class TokenInfo(Struct, frozen=True, kw_only=True):
    """What a token is good for; `expires_at` in Unix seconds, 0 means never."""

    valid: bool
    app_id: str | None
    expires_at: int
    scopes: tuple[str, ...]


class _Instagram(Struct):
    id: str | int | None = None


class _Page(Struct):
    id: str | int
    name: str | None = None
    access_token: str | None = None
    tasks: list[str] = field(default_factory=list)
    instagram_business_account: _Instagram | None = None


class _App(Struct):
    id: str | int | None = None
    subscribed_fields: list[str] = field(default_factory=list)


class _Owner(Struct):
    app_id: str | int | None = None


class _Thread(Struct):
    thread_owner: _Owner


class _Callback(Struct):
    object: str
    callback_url: str = ""
    active: bool = True


class _Label(Struct):
    id: str | int
    page_label_name: str | None = None
    name: str | None = None


class _Profile(Struct):
    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    username: str | None = None


class _Token(Struct):
    is_valid: bool = False
    app_id: str | int | None = None
    expires_at: int = 0
    scopes: list[str] = field(default_factory=list)


class _Debugged(Struct):
    data: _Token


def instagram_id(reply: Reply) -> str | None:
    """Return the id of the Instagram account linked to the Page that was asked for."""
    linked = decode(reply.body, _Page).instagram_business_account
    return id_text(linked.id) if linked else None


def callbacks(reply: Reply) -> dict[str, str]:
    """Return where the app's active webhooks go: kind of object -> URL."""
    told = [decode(raw, _Callback) for raw in decode(reply.body, Edge).data]
    return {one.object: one.callback_url for one in told if one.active}


def subscribed_fields(reply: Reply, app_id: str) -> frozenset[str]:
    """Return the fields our app is subscribed to; none when it is not installed on the Page."""
    for raw in decode(reply.body, Edge).data:
        app = decode(raw, _App)
        if id_text(app.id) == app_id:
            return frozenset(app.subscribed_fields)
    return frozenset()


def thread_owner(reply: Reply) -> str | None:
    """Return the id of the app that answers a person; None where nobody shares the Page."""
    for raw in decode(reply.body, Edge).data:
        return id_text(decode(raw, _Thread).thread_owner.app_id)
    return None


def labels(reply: Reply) -> tuple[dict[str, str | None], str | None]:
    """Return a person's labels, id -> name, and where to go on (None at the end)."""
    edge = decode(reply.body, Edge)
    told = [decode(raw, _Label) for raw in edge.data]
    # `name` until v12, `page_label_name` since.
    return {
        str(label.id): clean(label.page_label_name or label.name or "") or None for label in told
    }, edge.after


def profile_name(reply: Reply) -> str | None:
    """Return a person's name, None where Facebook shows none (an empty object is usual)."""
    told = decode(reply.body, _Profile)
    parts = " ".join(part for part in (told.first_name, told.last_name) if part)
    return clean(told.name or parts or told.username or "") or None


def accounts(reply: Reply) -> tuple[list[Account], str | None]:
    """Return the Pages a user manages and where to go on (None at the end)."""
    edge = decode(reply.body, Edge)
    return [_account(decode(raw, _Page)) for raw in edge.data], edge.after


def _account(wire: _Page) -> Account:
    linked = wire.instagram_business_account
    return Account(
        page_id=str(wire.id),
        name=clean(wire.name or str(wire.id)),
        token=wire.access_token,
        instagram_id=id_text(linked.id) if linked else None,
        tasks=tuple(wire.tasks),
    )


def token_info(reply: Reply) -> TokenInfo:
    """Return what `debug_token` says of a token."""
    told = decode(reply.body, _Debugged).data
    return TokenInfo(
        valid=told.is_valid,
        app_id=id_text(told.app_id),
        expires_at=told.expires_at,
        scopes=tuple(told.scopes),
    )
