"""Where traces begin: one span a request."""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from shared import tracing


def middlewares() -> list[Middleware]:
    """Return what traces the requests of an application: nothing where nothing is traced."""
    return [_traced] if tracing.is_on() else []


@web.middleware
async def _traced(request: web.Request, handler: Handler) -> web.StreamResponse:
    resource = request.match_info.route.resource
    name = f"{request.method} {resource.canonical if resource else 'unknown'}"
    # Facebook is no part of anybody's trace, nor may a stranger choose what is traced.
    public = request.path.startswith("/api/webhook")
    place = "" if public else request.headers.get(tracing.CARRIER, "")
    with tracing.joined(name, [place], "server"):
        response = await handler(request)
        tracing.note(**{"http.response.status_code": response.status})
        return response
