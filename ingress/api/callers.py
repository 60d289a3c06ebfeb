"""Who asks: an API key as `Authorization: Bearer`, or a browser's session cookie."""

import hashlib
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeAlias
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from msgspec import Struct

from ingress.api.directory import Directory
from ingress.api.problems import Problem
from shared.store import keys, sessions
from shared.store.database import Database
from shared.store.keys import ApiKey, Scope

FRESH = 5.0
"""Seconds a key is believed without asking Postgres: a revoked one is refused after that."""

_MOST_KNOWN = 1000
_RANK: dict[Scope, int] = {"read": 0, "sync": 1, "admin": 2}

COOKIE = "pagewire"
"""The session cookie on a loopback address; over TLS it is `__Host-pagewire`."""

SECURE_COOKIE = "__Host-pagewire"

_SAFE = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})


class Caller(Struct, frozen=True, kw_only=True):
    """Someone with a valid key.

    `pages` are Facebook's ids of the Pages the key sees, `page_ids` those and their Instagram
    accounts', by which rows go; None: all of them. `session` tells a browser's session.
    """

    key: ApiKey
    pages: tuple[str, ...] | None
    page_ids: list[str] | None
    expires_at: datetime | None
    session: bool

    def may(self, scope: Scope) -> bool:
        """Tell whether the key's scope includes another."""
        return _RANK[self.key.scope] >= _RANK[scope]


class _Known(Struct, frozen=True):
    key: ApiKey
    expires_at: datetime | None
    until: float


_Look: TypeAlias = Callable[[str], Awaitable[tuple[ApiKey, datetime | None] | None]]


class Callers:
    """Finds out who asks; what Postgres said of a key is believed for a few seconds."""

    def __init__(self, database: Database, directory: Directory) -> None:
        self._database = database
        self._directory = directory
        self._known: dict[tuple[_Look, bytes], _Known] = {}

    async def of(self, request: web.Request) -> Caller:
        """Return who sent a request; raises a 401 Problem, or 403 for a foreign page's change."""
        bearer = request.headers.get(hdrs.AUTHORIZATION)
        cookie = request.cookies.get(cookie_name(request))
        if bearer is None and cookie is None:
            raise _unauthorized("Present an API key: `Authorization: Bearer <key>`.")
        if bearer is not None:
            scheme, _, presented = bearer.partition(" ")
            if scheme.lower() != "bearer":
                raise _unauthorized("The Authorization header must read `Bearer <key>`.")
            known = await self._find(presented.strip(), self._key)
        else:
            require_own_origin(request, certainly=True)
            known = await self._find(cookie or "", self._session)
        if known is None:
            raise _unauthorized("This key or session is not valid, or no longer.")
        pages = known.key.pages
        return Caller(
            key=known.key,
            pages=pages,
            page_ids=None if pages is None else await self._directory.entry_ids(pages),
            expires_at=known.expires_at,
            session=bearer is None,
        )

    def forget(self) -> None:
        """Ask Postgres again about every key."""
        self._known.clear()

    async def _find(self, presented: str, look: _Look) -> _Known | None:
        asked = (look, hashlib.sha256(presented.encode("utf-8", "surrogateescape")).digest())
        known = self._known.get(asked)
        if known is None or known.until < time.monotonic():
            found = await look(presented)
            self._known.pop(asked, None)
            if found is None:
                return None
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[asked] = _Known(*found, time.monotonic() + FRESH)
        if known.expires_at is not None and known.expires_at <= datetime.now(UTC):
            return None
        return known

    async def _key(self, presented: str) -> tuple[ApiKey, datetime | None] | None:
        key = await keys.find(self._database, presented)
        return None if key is None else (key, key.expires_at)

    async def _session(self, presented: str) -> tuple[ApiKey, datetime | None] | None:
        session = await sessions.find(self._database, presented)
        return None if session is None else (session.key, session.expires_at)


def require_own_origin(request: web.Request, *, certainly: bool) -> None:
    """Refuse a change that another site's page sends; raises a 403 Problem.

    Browsers name the page's origin on every change. With `certainly`, a request without one is
    refused too: what carries a cookie comes from a browser.
    """
    if request.method in _SAFE:
        return
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None and not certainly:
        return
    if origin is None or _host(origin) != request.host:
        raise Problem(403, "This change comes from another site's page, and is refused.")


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def cookie_name(request: web.Request) -> str:
    """Return what the session cookie is called on this connection."""
    return SECURE_COOKIE if request.secure else COOKIE


def _unauthorized(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="pagewire"'})
