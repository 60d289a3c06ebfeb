"""Our own handler without a store: what an acknowledgement costs beside its durability."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from ingress.webhook.body import Bodies
from ingress.webhook.intake import GroupCommit, Intake
from ingress.webhook.keeper import Keeper
from ingress.webhook.ledger import Ledger
from ingress.webhook.receive import Receiver
from tests.bench.peers.common import PORT, SECRET

RECEIVER: web.AppKey[Receiver] = web.AppKey("receiver")


async def forget(packed: bytes) -> None:
    """Take an entry and keep nothing of it."""


async def fit() -> None:
    """Find nothing wrong."""


async def receive(request: web.Request) -> web.Response:
    return await request.app[RECEIVER].answer(request)


async def intake(app: web.Application) -> AsyncIterator[None]:
    keeper = Keeper("nothing", forget, fit, 1.0)
    await keeper.probe()
    ledger = Ledger("bench", "boot", lambda place, spans: None)
    lane = GroupCommit(ledger, [keeper], every=False)
    taking = Intake(small=lane, large=lane)
    app[RECEIVER] = Receiver(taking, Bodies(), [SECRET.decode()])
    running = asyncio.create_task(taking.run())
    yield
    running.cancel()


def main() -> None:
    app = web.Application()
    app.router.add_post("/api/webhook", receive)
    app.cleanup_ctx.append(intake)
    web.run_app(app, host="127.0.0.1", port=PORT, access_log=None, print=None)


if __name__ == "__main__":
    main()
