"""`pagewire key …`: who may use the API."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from cyclopts import App, Parameter
from msgspec.structs import asdict

from ingress.cli import postgres, show
from shared.store import keys, pages
from shared.store.keys import PREFIX, ApiKey, Scope

app = App(name="key", help="Make, list and revoke API keys.")


def _is_future(_: object, value: timedelta | None) -> None:
    if value is not None and value <= timedelta():
        raise ValueError("A key cannot expire before it is made.")


@app.command
async def create(
    *,
    scope: Annotated[
        Scope, Parameter(help="What it may do: read; also start syncs; or everything.")
    ],
    page: Annotated[
        list[str] | None,
        Parameter(negative="", help="A Page it may see, again for more; all otherwise."),
    ] = None,
    name: Annotated[str, Parameter(help="What it is for.")] = "unnamed",
    expires: Annotated[
        timedelta | None, Parameter(help="When it ends, such as 90d.", validator=_is_future)
    ] = None,
    as_json: show.AsJson = False,
) -> None:
    """Make an API key and print it: this once, nobody can show it again.

    For example:

        pagewire key create --scope read --name reporting --expires 90d
    """
    async with postgres.connected() as database:
        seen = [(await pages.find(database, one)).facebook_page_id for one in page or []]
        key, secret = await keys.create(
            database,
            name=name,
            scope=scope,
            pages=seen or None,
            expires=datetime.now(UTC) + expires if expires else None,
        )
    if as_json:
        show.json({"key": secret.reveal(), **asdict(key)})
    else:
        show.note("Keep it: it is not shown again. Send it as `Authorization: Bearer <key>`.")
        print(secret.reveal())


@app.command(name="list")
async def list_(*, as_json: show.AsJson = False) -> None:
    """List all API keys, without their secrets.

    For example:

        pagewire key list
    """
    async with postgres.connected() as database:
        found = await keys.listing(database)
    if as_json:
        show.json(found)
        return
    show.table(
        (
            {
                "id": key.id.hex[:8],
                "name": key.name,
                "scope": key.scope,
                "pages": "all" if key.pages is None else key.pages,
                "state": _state(key),
                "last used": key.last_used_at,
                "expires": key.expires_at,
            }
            for key in found
        ),
        empty="There is no key yet: `pagewire key create --scope read`.",
    )


@app.command
async def revoke(
    key: Annotated[str, Parameter(help="Its id, or the first eight digits of it.")],
    /,
    *,
    as_json: show.AsJson = False,
) -> None:
    """Revoke an API key: from now on it opens nothing.

    For example:

        pagewire key revoke 3f9a1c07
    """
    # Who has only the key itself, a leaked one perhaps, finds the id's start in it.
    called = key.removeprefix(PREFIX).partition("_")[0] if key.startswith(PREFIX) else key
    async with postgres.connected() as database:
        revoked = await keys.revoke(database, called)
    if as_json:
        show.json(revoked)
    else:
        print(f"Revoked {show.printable(revoked.name)} ({revoked.id})")


def _state(key: ApiKey) -> str:
    if key.revoked_at:
        return "revoked"
    return "expired" if key.expires_at and key.expires_at <= datetime.now(UTC) else "valid"
