"""The simulated Facebook of `make run`: what it is started with, and its Pages made known."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace

from deploy.local import keys, ports
from deploy.local.keys import Keys
from deploy.local.process import Program
from deploy.local.product import Product
from shared.config import Settings

HOST = "127.0.0.1"
APP_ID = "1001001001001001"
SIZE = ("--pages=3", "--conversations=40", "--instagram=10", "--messages=30")
TRAFFIC = "--events-per-second=2"


class Simulation:
    """A Facebook that answers on `port` of this machine, the same after every restart."""

    def __init__(self, secrets: Keys, port: int) -> None:
        self.port = port
        self._app_secret = secrets.made_once("simulated-app-secret", keys.word)
        self._start_ms = secrets.made_once("simulated-start", lambda: str(time.time_ns() // 10**6))

    def settings(self) -> dict[str, str]:
        """Return what makes Pagewire believe in it."""
        return {
            "FACEBOOK_APP_ID": APP_ID,
            "FACEBOOK_APP_SECRET": self._app_secret,
            "GRAPH_API_URL": ports.url(HOST, self.port),
            "GRAPH_PAGE_CALLS_PER_SECOND": "0",
        }

    def program(self, product: Product, settings: Settings) -> Program:
        """Return it as a program; its webhooks go to the ingress."""
        ingress = ports.url(settings.ingress_host, settings.ingress_port)
        program = product.program(
            "simulator",
            "deploy.simulator",
            f"--host={HOST}",
            f"--port={self.port}",
            f"--start-ms={self._start_ms}",
            f"--webhook-url={ingress}/api/webhook",
            f"--app-id={APP_ID}",
            *SIZE,
            TRAFFIC,
            grace=0.5,
            answers=lambda: ports.accepts(HOST, self.port),
        )
        # Arguments could be read by everybody here.
        secrets = {
            "SIMULATOR_APP_SECRET": self._app_secret,
            "SIMULATOR_VERIFY_TOKEN": settings.webhook_verify_token.reveal(),
            "SIMULATOR_DATABASE_URL": settings.database_url.reveal(),
        }
        return replace(program, environment={**program.environment, **secrets})

    async def add_pages(self, product: Product) -> None:
        """Add its Pages, but not those that are known: adding again would repair them all."""
        known = {page["facebook_page_id"] for page in await product.command("page", "list")}
        _, body = ports.get(HOST, self.port, "/_simulator/setup")
        for page in json.loads(body)["pages"]:
            if page["id"] not in known:
                await _add(product, page)


async def _add(product: Product, page: Mapping[str, str | None]) -> None:
    instagram = page["instagramId"]
    await product.command(
        *("page", "add", str(page["id"]), "--name", str(page["name"])),
        *(("--instagram", instagram) if instagram else ()),
        PAGE_ACCESS_TOKEN=str(page["token"]),
    )
