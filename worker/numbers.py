"""What an operator's tools ask a worker: alive, and the numbers. Only where METRICS_PORT is set."""

import asyncio

from aiohttp import web
from msgspec import Struct
from prometheus_client.aiohttp import make_aiohttp_handler


class Numbers(Struct, frozen=True):
    """A listener of `/healthz` and `/metrics`."""

    host: str
    port: int

    async def serve(self, stop: asyncio.Event) -> None:
        """Answer until `stop`; raises OSError when the port is taken."""
        app = web.Application()
        app.router.add_get("/healthz", _alive)
        app.router.add_get("/metrics", make_aiohttp_handler())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.host, self.port).start()
            await stop.wait()
        finally:
            await runner.cleanup()


async def _alive(_: web.Request) -> web.Response:
    return web.Response(text="ok")
