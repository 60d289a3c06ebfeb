"""Signing in: a browser shows a key once and gets a cookie that no script can read."""

from datetime import UTC, datetime
from typing import Annotated

from aiohttp import web
from msgspec import Meta
from yarl import URL

from ingress.api.callers import (
    COOKIE,
    SECURE_COOKIE,
    Caller,
    Callers,
    cookie_name,
    require_own_origin,
)
from ingress.api.problems import Problem
from ingress.api.routes import endpoint
from ingress.api.shapes import Asked, SessionInfo
from shared.store import keys, sessions
from shared.store.database import Database

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class SignIn(Asked):
    """The API key to sign in with."""

    key: Annotated[str, Meta(min_length=1, max_length=200)]


class Sessions:
    """Session."""

    def __init__(self, database: Database, callers: Callers) -> None:
        self._database = database
        self._callers = callers

    @endpoint("POST", "/session", scope=None, answers={204: None})
    async def begin(self, body: SignIn, request: web.Request) -> web.Response:
        """Sign in with an API key; the answer sets the session cookie."""
        require_own_origin(request, certainly=False)
        if not request.secure and not is_loopback(request.host):
            raise Problem(400, "Sign in over HTTPS: a key must not cross a network in the clear.")
        key = await keys.find(self._database, body.key)
        if key is None:
            raise Problem(401, "This key is not valid, or no longer.")
        token, expires_at = await sessions.begin(self._database, key.id)
        answer = web.Response(status=204)
        answer.set_cookie(
            SECURE_COOKIE if request.secure else COOKIE,
            token.reveal(),
            max_age=int((expires_at - datetime.now(UTC)).total_seconds()),
            path="/",
            secure=request.secure,
            httponly=True,
            samesite="Strict",
        )
        return answer

    @endpoint("GET", "/session", scope="read")
    async def show(self, caller: Caller) -> SessionInfo:
        """Tell who is signed in, and what they may do."""
        return SessionInfo(
            name=caller.key.name,
            scope=caller.key.scope,
            pages=None if caller.pages is None else list(caller.pages),
            expires_at=caller.expires_at,
        )

    @endpoint("DELETE", "/session", scope="read", answers={204: None})
    async def end(self, request: web.Request) -> web.Response:
        """Sign out: the session ends, and the cookie goes."""
        await sessions.end(self._database, request.cookies.get(cookie_name(request), ""))
        self._callers.forget()
        answer = web.Response(status=204)
        answer.del_cookie(cookie_name(request), path="/", secure=request.secure, httponly=True)
        return answer


def is_loopback(host: str) -> bool:
    """Tell whether a Host header names this machine."""
    try:
        return URL(f"//{host}").host in _LOOPBACK
    except ValueError:
        return False
