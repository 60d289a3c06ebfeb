"""The user's side: the list of Pages, what a token is, and tokens for tokens.

https://developers.facebook.com/docs/facebook-login/guides/access-tokens
"""

from collections.abc import Sequence

from deploy.simulator import errors
from deploy.simulator.config import Config
from deploy.simulator.fields import Field
from deploy.simulator.profiles import PAGE
from deploy.simulator.shapes import Json, View
from deploy.simulator.tokens import Tokens
from deploy.simulator.truth import Page

SCOPES = (
    "pages_show_list", "pages_messaging", "pages_manage_metadata", "pages_read_engagement",
    "instagram_basic", "instagram_manage_messages",
)  # fmt: skip
_UNASKED = ("access_token", "category", "category_list", "name", "id", "tasks")


def accounts(view: View, pages: Sequence[Page], asked: tuple[Field, ...] | None) -> list[Json]:
    """Return Pages as /me/accounts lists them, each with its token."""
    return PAGE.show_all(view, pages, asked or tuple(Field(name) for name in _UNASKED))


def debug_token(tokens: Tokens, config: Config, parameters: dict[str, str], now_ms: int) -> Json:
    """Answer /debug_token: what the token stands for, or why it is not valid."""
    try:
        grant = tokens.check(parameters.get("input_token"))
    except errors.GraphError as error:
        failure = error.failure
        why: Json = {"code": failure.code, "message": failure.message}
        if failure.subcode:
            why["subcode"] = failure.subcode
        return {"data": {"error": why, "is_valid": False, "scopes": []}}
    about: Json = {
        "app_id": config.app_id,
        "type": grant.kind.upper(),
        "application": "Pagewire",
        "data_access_expires_at": now_ms // 1000 + 90 * 86_400,
        "expires_at": 0,
        "is_valid": True,
        "issued_at": grant.issued_s,
        "scopes": list(SCOPES),
        "user_id": tokens.user_id,
    }
    if grant.page is not None:
        page = grant.page
        about["profile_id"] = page.id
        about["granular_scopes"] = [{"scope": "pages_messaging", "target_ids": [page.id]}]
    return {"data": about}


def access_token(tokens: Tokens, config: Config, parameters: dict[str, str], now_ms: int) -> Json:
    """Answer /oauth/access_token: a long-lived token for a short one, or the app's own."""
    given = (parameters.get("client_id"), parameters.get("client_secret"))
    if given != (config.app_id, config.app_secret):
        raise errors.invalid("Error validating client secret.")
    match parameters.get("grant_type"):
        case "fb_exchange_token":
            tokens.check(parameters.get("fb_exchange_token"))
            token = tokens.exchange(now_ms)
            return {"access_token": token, "token_type": "bearer", "expires_in": 5_183_944}
        case "client_credentials":
            return {"access_token": tokens.app, "token_type": "bearer"}
        case _:
            raise errors.invalid("grant_type must be fb_exchange_token or client_credentials")
