"""The HTTP API and the two pages."""

from aiohttp import web
from msgspec import Struct

from shared.config import Settings


class Deps(Struct, frozen=True):
    """What the API is built from."""

    settings: Settings


def setup_api(app: web.Application, deps: Deps) -> None:
    """Add the API and the pages to `app`, which the webhook may share.

    Middlewares belong on a sub-application: on `app` itself they would run for every webhook.
    """
