"""Serves the pages and the files they are made of.

All of it is read once, when the application is built. A request is answered out of a dictionary,
so that no path can lead out of this folder.
"""

import gzip
import posixpath
import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import Struct

_HERE = Path(__file__).parent
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

# Pictures, films and sounds of a conversation lie on Facebook's many hosts. Nothing else comes
# from elsewhere, and no script or style stands in a page.
_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' https:; media-src https:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}

_IMPORT = re.compile(r'^(?:import|export)\b[^;]*?"(\.[^"]+)";', re.MULTILINE)


class _Page(Struct, frozen=True):
    """A page: where it is, its title, the style sheets beside `base`, and its first module."""

    path: str
    title: str
    styles: tuple[str, ...]
    module: str


_PAGES = (
    _Page("/inbox", "Inbox", ("css/inbox.css",), "js/inbox/main.js"),
    _Page("/ops", "Ops", ("vendor/uplot.css", "css/ops.css"), "js/ops/main.js"),
    _Page("/sign-in", "Sign in", ("css/sign-in.css",), "js/sign-in.js"),
)


class _File(Struct, frozen=True):
    """A file as it is sent: its type, its bytes, and the same compressed."""

    content_type: str
    body: bytes
    gzipped: bytes


def setup_pages(app: web.Application) -> None:
    """Add the pages (`/inbox`, `/ops`, `/sign-in`, `/` leads to the inbox) and `/static/…`.

    They call the API on their own origin. They hold nothing secret and ask for no session: what
    they show comes from the API, which does.
    """
    files = {name: _file(body, Path(name).suffix) for name, body in _sources().items()}
    version = _version(files)
    for page in _PAGES:
        document = _file(_document(page, f"/static/{version}", files).encode(), ".html")
        app.router.add_get(page.path, _serve_page(document))
    app.router.add_get("/static/{version}/{name:.+}", _serve_static(files, version))
    app.router.add_get("/", _to_inbox)


def _sources() -> dict[str, bytes]:
    folders = (_HERE / name for name in ("css", "icons", "js", "vendor"))
    paths = sorted(path for folder in folders for path in folder.rglob("*"))
    return {
        path.relative_to(_HERE).as_posix(): path.read_bytes()
        for path in paths
        if path.suffix in _TYPES and "swagger" not in path.parts
    }


def _file(body: bytes, suffix: str) -> _File:
    # mtime=0: the same file has the same bytes in every process.
    packed = gzip.compress(body, mtime=0)
    return _File(_TYPES.get(suffix, "text/html"), body, packed)


def _version(files: dict[str, _File]) -> str:
    """Return a name for exactly these files: it stands in their addresses, so they never expire."""
    digest = sha256()
    for name, file in files.items():
        digest.update(name.encode() + sha256(file.body).digest())
    return digest.hexdigest()[:12]


def _document(page: _Page, static: str, files: dict[str, _File]) -> str:
    styles = ("css/base.css", *page.styles)
    modules = _reached(page.module, files)
    return (
        (_HERE / "page.html")
        .read_text(encoding="utf-8")
        .format(
            title=page.title,
            static=static,
            styles="\n".join(f'<link rel="stylesheet" href="{static}/{name}">' for name in styles),
            modules="\n".join(
                [
                    *(f'<link rel="modulepreload" href="{static}/{name}">' for name in modules[1:]),
                    f'<script type="module" src="{static}/{page.module}"></script>',
                ]
            ),
        )
    )


def _reached(module: str, files: dict[str, _File]) -> list[str]:
    """Return the modules that `module` imports, itself first: fetched at once, not one by one."""
    reached = [module]
    for name in reached:
        reached += [found for found in _imports(name, files[name].body) if found not in reached]
    return reached


def _imports(name: str, body: bytes) -> Iterable[str]:
    folder = posixpath.dirname(name)
    found = _IMPORT.findall(body.decode())
    return dict.fromkeys(posixpath.normpath(posixpath.join(folder, path)) for path in found)


def _serve_page(document: _File) -> Handler:
    async def serve(request: web.Request) -> web.Response:
        return _answer(request, document, "no-cache")

    return serve


def _serve_static(files: dict[str, _File], version: str) -> Handler:
    async def serve(request: web.Request) -> web.Response:
        file = files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        # While processes are replaced, one may be asked for another's files.
        same = request.match_info["version"] == version
        caching = "public, max-age=31536000, immutable" if same else "no-store"
        return _answer(request, file, caching)

    return serve


def _answer(request: web.Request, file: _File, caching: str) -> web.Response:
    headers = _SECURITY | {"Cache-Control": caching, "Vary": "Accept-Encoding"}
    body = file.body
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = file.gzipped
    return web.Response(body=body, headers=headers, content_type=file.content_type, charset="utf-8")


async def _to_inbox(_request: web.Request) -> web.Response:
    raise web.HTTPFound("/inbox")
