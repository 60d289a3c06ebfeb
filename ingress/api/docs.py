"""The API described: as OpenAPI, and as a page to try it on."""

import asyncio
import gzip
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from ingress.api import openapi
from ingress.api.routes import JSON, Route

_SWAGGER = Path(__file__).parent.parent / "web" / "vendor" / "swagger"

_PAGE = b"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Pagewire API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<script src="docs/swagger-ui-bundle.js" defer></script>
<script src="docs/start.js" defer></script>
</head>
<body><div id="api"></div></body>
</html>
"""

_START = b"""\
SwaggerUIBundle({ url: "openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null });
"""

# Swagger UI draws its icons from data: addresses. Nothing else is looser than on other pages.
_POLICY = (
    "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def setup_docs(app: web.Application, routes: Iterable[Route]) -> None:
    """Add `openapi.json` and `docs` to an application; nobody needs a key to read them."""
    described = openapi.document(routes, _version())
    app.router.add_get("/openapi.json", _serve(described, JSON))
    app.router.add_get("/docs", _serve(_PAGE, "text/html"))
    app.router.add_get("/docs/start.js", _serve(_START, "text/javascript"))
    for name, kind in (("swagger-ui.css", "text/css"), ("swagger-ui-bundle.js", "text/javascript")):
        app.router.add_get(f"/docs/{name}", _serve_packed(_SWAGGER / name, kind))


def _serve(body: bytes, content_type: str) -> Handler:
    async def serve(_: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": _POLICY}
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)

    return serve


def _serve_packed(path: Path, content_type: str) -> Handler:
    """Return a handler that sends a large file compressed, as all browsers take it."""
    packing: list[asyncio.Future[bytes]] = []

    async def serve(_: web.Request) -> web.Response:
        if not packing:
            packing.append(asyncio.ensure_future(asyncio.to_thread(_pack, path)))
        headers = {hdrs.CONTENT_ENCODING: "gzip", hdrs.CACHE_CONTROL: "public, max-age=86400"}
        return web.Response(
            body=await asyncio.shield(packing[0]),
            content_type=content_type,
            charset="utf-8",
            headers=headers,
        )

    return serve


def _pack(path: Path) -> bytes:
    return gzip.compress(path.read_bytes())


def _version() -> str:
    try:
        return version("pagewire")
    except PackageNotFoundError:
        return "0"
