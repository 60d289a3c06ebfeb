"""What an operator's tools ask: alive, able to acknowledge, and the numbers."""

import ipaddress
import os

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from msgspec import json
from msgspec.structs import asdict
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler
from prometheus_client.multiprocess import MultiProcessCollector

from ingress.api import Api
from ingress.api.session import is_loopback
from ingress.webhook.door import Door


def setup_health(app: web.Application, door: Door | None, api: Api | None) -> None:
    """Add `/healthz`, and `/readyz`: 200 while the door (if there is one) can acknowledge.

    Where there is an API, `cache` says what it reads through: `redis`, or `memory` while Redis is
    away.
    """

    async def alive(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def ready(_: web.Request) -> web.Response:
        told: dict[str, object] = asdict(door.readiness()) if door else {"ready": True}
        if api is not None:
            told["cache"] = "memory" if api.cache.in_memory else "redis"
        return web.Response(
            status=200 if told["ready"] else 503,
            body=json.encode(told),
            content_type="application/json",
        )

    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", ready)


def setup_metrics(app: web.Application, *, private: bool) -> None:
    """Add `/metrics`; on a listener that is not `private`, only for this machine itself."""
    serve = make_aiohttp_handler(_registry())
    app.router.add_get("/metrics", serve if private else _for_this_machine(serve))


def _registry() -> CollectorRegistry:
    # Several processes of one ingress write their numbers to files that any of them can add up.
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def _for_this_machine(serve: Handler) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        # A proxy on this machine asks from here too, and so does a page whose name was made to mean
        # this machine: both tell by the name that was asked for.
        forwarded = hdrs.X_FORWARDED_FOR in request.headers or hdrs.FORWARDED in request.headers
        from_here = ipaddress.ip_address(request.remote or "::").is_loopback
        if forwarded or not from_here or not is_loopback(request.host):
            raise web.HTTPNotFound
        return await serve(request)

    return guarded
