"""What a client is told when something is wrong: `application/problem+json`, RFC 9457.

Beside the standard's members there is `error`, a string that clients of older systems look for.
"""

import traceback
from http import HTTPStatus

import msgspec
from aiohttp import web
from msgspec import Struct
from redis.exceptions import RedisError

from shared import log
from shared.errors import Conflict, NotFound, Unavailable, Unreadable
from shared.store.database import is_transient

_log = log.get(__name__)

CONTENT_TYPE = "application/problem+json"


class ProblemDocument(Struct, frozen=True, kw_only=True):
    """The body of every answer that is an error; `error` repeats `detail`."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error: str


class Problem(Exception):
    """A request that cannot be answered as it was meant: what is wrong, and what to do."""

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}


def explain(error: Exception) -> Problem:
    """Return what to tell of an error: its own words where they are for clients, else none."""
    match error:
        case Problem():
            return error
        case NotFound():
            return Problem(404, str(error))
        case Conflict():
            return Problem(409, str(error))
        case Unreadable():
            return Problem(400, str(error))
        case web.HTTPException():
            return _of_aiohttp(error)
    if isinstance(error, Unavailable | RedisError) or is_transient(error):
        _log.warning("api_unavailable", error=type(error).__name__)
        return Problem(
            503, "A store does not answer; try again shortly.", headers={"Retry-After": "1"}
        )
    _log.error("api_failed", error=type(error).__name__, at=_place(error))
    return Problem(500, "Something failed here; it is in the log.")


def _place(error: Exception) -> str:
    """Return where an error was raised; its message may hold what a person wrote."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _of_aiohttp(error: web.HTTPException) -> Problem:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return Problem(
            405, f"{error.method} is not possible here, only {allowed}.", headers={"Allow": allowed}
        )
    if error.status == 404:
        return Problem(404, "There is no such address; /api/docs lists them.")
    return Problem(error.status, f"{error.reason}.")


def response(problem: Problem) -> web.Response:
    """Return the answer that tells a problem."""
    document = ProblemDocument(
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        error=problem.detail,
    )
    return web.Response(
        status=problem.status,
        body=msgspec.json.encode(document),
        headers=problem.headers,
        content_type=CONTENT_TYPE,
    )
