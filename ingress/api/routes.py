"""What can be asked: each handler's signature says what it takes, and is the documentation.

A handler is a method that takes any of `caller`, `path`, `query`, `body` and `request`. The
annotations of `path`, `query` and `body` are the msgspec structs that a request is checked
against; the return annotation is the answer's. The same structs make the OpenAPI document, so
that it cannot tell anything else than what is checked.
"""

import asyncio
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any, Generic, TypeAlias, TypeVar
from uuid import UUID

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct, field

from ingress.api.callers import Callers
from ingress.api.problems import Problem
from shared.store.keys import Scope

LARGEST_BODY = 64 << 10
"""Bytes of a request's body; none of ours needs a tenth of it."""

BODY_SECONDS = 5.0

JSON = "application/json"
EVENT_STREAM = "text/event-stream"

Handler: TypeAlias = Callable[..., Awaitable[Any]]
T = TypeVar("T")
F = TypeVar("F", bound=Handler)

Name: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=100, pattern=r"^[^\u0000-\u001f\u007f]*$(?!\n)")
]
"""What a person calls something: one line, without control characters."""

Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[\w.:-]+$(?!\n)")]
"""An id of ours or of Facebook's."""

Limit: TypeAlias = Annotated[int, Meta(ge=1, le=200)]
"""How many rows a slice has at most."""

_UUID = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"


class Encoded(Struct, Generic[T], frozen=True):
    """An answer that is JSON already; `T` says of what."""

    json: bytes


class Answer(Struct, Generic[T], frozen=True, kw_only=True):
    """An answer with another status than the usual, or with headers."""

    status: int
    value: T
    headers: Mapping[str, str] = field(default_factory=dict)


class Route(Struct, frozen=True, kw_only=True):
    """One thing that can be asked, from its handler's declaration and signature.

    `answers` are the types by status; None: no body. `scope` None: no key is needed.
    """

    method: str
    path: str
    summary: str
    description: str
    tag: str
    scope: Scope | None
    handler: Handler
    path_type: Any
    query_type: Any
    body_type: Any
    answers: dict[int, Any]
    takes: frozenset[str]
    content_type: str

    @property
    def pattern(self) -> str:
        """The path as aiohttp matches it: `sync` is not mistaken for one of our ids."""
        if self.path_type is None:
            return self.path
        path = self.path
        for part in msgspec.structs.fields(self.path_type):
            if part.type is UUID:
                path = path.replace(f"{{{part.encode_name}}}", f"{{{part.encode_name}:{_UUID}}}")
        return path


def endpoint(
    method: str,
    path: str,
    *,
    scope: Scope | None,
    answers: Mapping[int, Any] | None = None,
    content_type: str = JSON,
) -> Callable[[F], F]:
    """Declare a method of a resource as the handler of `method path`.

    `answers` replaces what the return annotation says, where there are several. The docstring's
    first line is the summary.
    """

    def declare(handler: F) -> F:
        handler.__dict__["endpoint"] = (method, path, scope, answers, content_type)
        return handler

    return declare


def routes_of(resources: Iterable[object]) -> list[Route]:
    """Return the routes of some resources' declared handlers."""
    return [
        _route(resource, member)
        for resource in resources
        for member in vars(type(resource)).values()
        if hasattr(member, "endpoint")
    ]


def _route(resource: object, member: Handler) -> Route:
    method, path, scope, answers, content_type = member.__dict__["endpoint"]
    hints = typing.get_type_hints(member, include_extras=True)
    answer = _answer_type(hints.pop("return"))
    summary, _, description = (member.__doc__ or "").strip().partition("\n")
    if answers is None:
        answers = {204: None} if answer is None else {200: answer}
    return Route(
        method=method,
        path=path,
        summary=summary.rstrip("."),
        description=" ".join(description.split()),
        tag=(type(resource).__doc__ or "").strip().partition("\n")[0].rstrip("."),
        scope=scope,
        handler=getattr(resource, member.__name__),
        path_type=hints.get("path"),
        query_type=hints.get("query"),
        body_type=hints.get("body"),
        answers=dict(answers),
        takes=frozenset(hints),
        content_type=content_type,
    )


def _answer_type(annotated: Any) -> Any:
    if typing.get_origin(annotated) in {Encoded, Answer}:
        return typing.get_args(annotated)[0]
    return None if annotated is type(None) else annotated


def serve(route: Route, callers: Callers) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return aiohttp's handler of a route: who asks, may they, what do they ask, the answer."""

    async def handle(request: web.Request) -> web.StreamResponse:
        arguments: dict[str, Any] = {}
        if route.scope is not None:
            caller = await callers.of(request)
            if not caller.may(route.scope):
                raise Problem(403, f"This needs a key of scope {route.scope}.")
            arguments["caller"] = caller
        if "path" in route.takes:
            arguments["path"] = _words(request.match_info, route.path_type, "The address")
        if "query" in route.takes:
            arguments["query"] = _words(_single(request.query), route.query_type, "The query")
        elif request.query_string and "request" not in route.takes:
            raise Problem(400, "The query: nothing may follow `?` here.")
        if "body" in route.takes:
            arguments["body"] = await _body(request, route.body_type)
        if "request" in route.takes:
            arguments["request"] = request
        wanted = {name: value for name, value in arguments.items() if name in route.takes}
        return _response(await route.handler(**wanted))

    return handle


def _words(values: Mapping[str, str], kind: Any, where: str) -> Any:
    """Read what an address says; raises a 400 Problem."""
    try:
        "".join(values.values()).encode()
        return msgspec.convert(dict(values), kind, strict=False)
    except UnicodeEncodeError:
        raise Problem(400, f"{where}: it is not UTF-8.") from None
    except msgspec.ValidationError as error:
        raise Problem(400, f"{where}: {error}.") from None


def _single(query: Mapping[str, str]) -> Mapping[str, str]:
    if len(set(query)) != len(query):
        raise Problem(400, "The query: a name may be given once.")
    return query


async def _body(request: web.Request, kind: Any) -> Any:
    """Read a JSON body; raises a Problem. Where it may be left out, nothing means `{}`."""
    raw = await _bounded(request)
    if not raw and type(None) in typing.get_args(kind):
        return None
    if request.content_type != JSON:
        raise Problem(415, f"Send the body as {JSON}.")
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise Problem(400, f"The body: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "The body is not JSON.") from None


async def _bounded(request: web.Request) -> bytes:
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise Problem(415, "Send the body uncompressed.")
    body = bytearray()
    size = request.content_length or 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while size <= LARGEST_BODY and (part := await request.content.readany()):
                body += part
                size = max(size, len(body))
    except TimeoutError:
        raise Problem(408, "The body took too long to arrive.") from None
    if size > LARGEST_BODY:
        raise Problem(413, f"A body may have {LARGEST_BODY} bytes at most.")
    return bytes(body)


def _response(value: Any) -> web.StreamResponse:
    match value:
        case web.StreamResponse():
            return value
        case None:
            return web.Response(status=204)
        case Encoded(body):
            return web.Response(body=body, content_type=JSON)
        case Answer(status=status, value=inner, headers=headers):
            if inner is None:
                return web.Response(status=status, headers=headers)
            body = msgspec.json.encode(inner)
            return web.Response(status=status, body=body, content_type=JSON, headers=headers)
    return web.Response(body=msgspec.json.encode(value), content_type=JSON)
