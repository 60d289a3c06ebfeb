"""Where a person sees what became of their data-deletion request. Public, and tells nothing else.

https://developers.facebook.com/docs/development/create-an-app/app-dashboard/data-deletion-callback
"""

from collections.abc import AsyncIterator

from aiohttp import web

from shared.config import Settings
from shared.errors import Unavailable
from shared.store import privacy
from shared.store.database import Database
from shared.store.privacy import RequestStatus

PATH = "/api/webhook/data-deletion/{code:[0-9a-f]{24}}"
"""What `ingress.webhook.callbacks` tells Facebook, behind the only prefix that must be public."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_SAID: dict[RequestStatus, str] = {
    "unresolved": "We have your request. A person is looking for the data it is about.",
    "received": "We have your request. Your data is about to be erased.",
    "erased": "Your data has been erased.",
}


def setup_privacy(app: web.Application, settings: Settings) -> None:
    """Add the status page; two connections at most, however many strangers ask."""
    database = Database(settings.database_url.reveal(), high=2, timeout=5)

    async def status(request: web.Request) -> web.Response:
        try:
            state = await privacy.state(database, request.match_info["code"])
        except (Unavailable, TimeoutError):
            return _answer(503, "Please try again in a minute.")
        if state is None:
            return _answer(404, "There is no such request, or it has just arrived.")
        return _answer(200, _SAID[state.status])

    async def closed(_: web.Application) -> AsyncIterator[None]:
        yield
        await database.close()

    app.router.add_get(PATH, status)
    app.cleanup_ctx.append(closed)


def _answer(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n", headers=_HEADERS)
