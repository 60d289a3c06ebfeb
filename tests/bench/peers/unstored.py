"""Our own door without a store: what an acknowledgement costs beside its durability."""

import asyncio
import contextlib
import signal

from aiohttp import web

from ingress.listen import Listener
from ingress.traces import middlewares
from ingress.webhook.body import Bodies
from ingress.webhook.intake import GroupCommit, Intake
from ingress.webhook.keeper import Keeper
from ingress.webhook.ledger import Ledger
from ingress.webhook.receive import Receiver
from tests.bench.peers.common import PORT, SECRET


async def forget(packed: bytes) -> None:
    """Take an entry and keep nothing of it."""


async def find_nothing() -> None:
    """Look for what is wrong."""


async def serve() -> None:
    keeper = Keeper("nothing", forget, find_nothing, 1.0)
    await keeper.probe()
    ledger = Ledger("bench", "boot", lambda place, spans: None)
    lane = GroupCommit(ledger, [keeper], every=False)
    intake = Intake(small=lane, large=lane)
    app = web.Application(middlewares=middlewares())
    app.router.add_post("/api/webhook", Receiver(intake, Bodies(), [SECRET.decode()]).answer)
    listener = Listener(app)
    await listener.start("127.0.0.1", PORT)
    serving = asyncio.current_task()
    assert serving is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await intake.run()
    await listener.close()


if __name__ == "__main__":
    asyncio.run(serve())
