"""Everything behind `/api/webhook`, put together: where a body goes, and what watches over it."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import web
from msgspec import Struct

from ingress.webhook.body import Bodies
from ingress.webhook.callbacks import Callback
from ingress.webhook.handshake import Handshake
from ingress.webhook.intake import GroupCommit, Intake
from ingress.webhook.keeper import Keeper, Turns
from ingress.webhook.ledger import Ledger
from ingress.webhook.presence import Presence
from ingress.webhook.receive import Receiver
from ingress.webhook.watch import StreamWatch
from ingress.webhook.will import Will
from shared import metrics
from shared.backlog.durability import SAFEST
from shared.backlog.inbox import Inbox
from shared.backlog.postgres import Pool, open_pool
from shared.backlog.stream import Stream
from shared.backlog.witness import Witness
from shared.config import Settings
from shared.errors import PagewireError, SettingsError, Unavailable
from shared.redis import connect

REDIS_SECONDS = 0.8
POSTGRES_SECONDS = 1.7
"""What each place may take for an entry; both together stay within `intake.BUDGET`."""

PROBE_EVERY = 1.0
BEAT_EVERY = 10.0
"""Seconds; `shared.backlog.witness.SILENCE` is three heartbeats."""

GOODBYE_SECONDS = 1.0


class EvictingRedis(PagewireError):
    """The Redis may delete what was acknowledged."""


class Readiness(Struct, frozen=True):
    """The body of `/readyz`.

    `ready`: webhooks can be acknowledged. `durability`: what they survive then
    (`shared.backlog.durability`), null while unknown. `keepers`: which places are in use.
    """

    ready: bool
    durability: int | None
    keepers: dict[str, bool]


class Door:
    """The webhook's part of an ingress process: open it, mount it, run it, close it."""

    def __init__(self, settings: Settings, ingress: str, streams: list[Stream], pool: Pool) -> None:
        boot = secrets.token_hex(8)
        will = Will(ingress, boot, deployment=settings.database_url.reveal())
        ledger = Ledger(ingress, boot, will.write)
        inbox = Inbox(pool, patience=POSTGRES_SECONDS)
        self._settings, self._streams, self._pool, self._will = settings, streams, pool, will
        witness = Witness(pool, ingress, boot, patience=POSTGRES_SECONDS)
        self._presence = Presence(witness, ledger, will)
        now_ms = time.time_ns() // 1_000_000
        self._watches = [StreamWatch(one, self._presence.suspect, now_ms) for one in streams]
        self._in_postgres = Keeper("postgres", inbox.append, inbox.ping, POSTGRES_SECONDS)
        in_redis = [
            Keeper(
                "redis" if number == 1 else f"redis-{number}", one.append, one.look, REDIS_SECONDS
            )
            for number, one in enumerate(self._watches, 1)
            if settings.ingress_log != "postgres"
        ]
        self._keepers = [*in_redis, self._in_postgres]
        places: list[Turns | Keeper] = [Turns(in_redis), self._in_postgres]

        def lane(places: list[Turns | Keeper]) -> GroupCommit:
            every = settings.ingress_log == "both"
            return GroupCommit(ledger, places, every=every)

        self._intake = Intake(small=lane(places), large=lane(places[::-1]))

    @classmethod
    async def open(cls, settings: Settings, ingress: str) -> "Door":
        """Build it for the ingress of that name; neither store need answer.

        Raises SettingsError for a URL that is none, EvictingRedis for a Redis not to be trusted.
        """
        try:
            streams = [
                Stream(connect(url.reveal(), timeout=REDIS_SECONDS, bound_replies=False))
                for url in settings.backlog_redis_urls
            ]
        except ValueError:
            name = "REDIS_URL" if len(settings.backlog_redis_urls) == 1 else "BACKLOG_REDIS_URLS"
            raise SettingsError([f"{name} cannot be read as the URL of a Redis"]) from None
        pool = await open_pool(settings.database_url.reveal(), size=4, patience=POSTGRES_SECONDS)
        door = cls(settings, ingress, streams, pool)
        await door._look()
        for watch in door._watches:
            if watch.durability and watch.durability.evicts:
                await door._let_go()
                raise EvictingRedis(f"Redis is not fit to hold webhooks: {watch.durability.why}.")
        return door

    def mount(self, app: web.Application) -> None:
        """Add the routes Facebook calls."""
        app_secrets = [secret.reveal() for secret in self._settings.facebook_app_secrets]
        bodies = Bodies()
        handshake = Handshake(self._settings.webhook_verify_token.reveal())
        receiver = Receiver(self._intake, bodies, app_secrets)
        app.router.add_get("/api/webhook", handshake.answer)
        app.router.add_post("/api/webhook", receiver.answer)
        # Without this the API, which has all of `/api/`, would say that there is no such thing.
        app.router.add_route("*", "/api/webhook", _not_allowed)
        deauthorize = Callback("deauthorize", self._intake, bodies, app_secrets)
        data_deletion = Callback("data_deletion", self._intake, bodies, app_secrets)
        app.router.add_post("/api/webhook/deauthorize", deauthorize.answer)
        app.router.add_post("/api/webhook/data-deletion", data_deletion.answer)

    def readiness(self) -> Readiness:
        """Tell whether webhooks can be acknowledged now."""
        keepers = {keeper.name: keeper.usable for keeper in self._keepers}
        return Readiness(any(keepers.values()), self._durability(), keepers)

    async def run(self) -> None:
        """Do everything that is not a request, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._intake.run())
            tasks.create_task(_every(PROBE_EVERY, self._look))
            tasks.create_task(_every(BEAT_EVERY, self._beat))

    async def close(self) -> None:
        """Store what still waits, say goodbye, let go of the stores."""
        await self._intake.flush()
        with suppress(TimeoutError, Unavailable):
            await asyncio.wait_for(self._presence.leave(), GOODBYE_SECONDS)
        await self._let_go()

    async def _let_go(self) -> None:
        self._will.close()
        await asyncio.gather(*(stream.aclose() for stream in self._streams))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._pool.close(), GOODBYE_SECONDS)

    async def _look(self) -> None:
        await asyncio.gather(*(keeper.probe() for keeper in self._keepers))
        metrics.durability_level.set(self._durability() or 0)
        metrics.backlog_unapplied.set(sum(watch.unapplied for watch in self._watches))
        metrics.backlog_age.set(max(watch.age.total_seconds() for watch in self._watches))

    def _durability(self) -> int | None:
        if self._settings.ingress_log != "redis" and self._in_postgres.usable:
            return SAFEST
        levels = [watch.durability.level for watch in self._watches if watch.durability]
        return min(levels, default=None)

    async def _beat(self) -> None:
        # A keeper tells when Postgres is away; the heartbeat waits for the next round.
        with suppress(Unavailable):
            await self._presence.beat()


async def _not_allowed(request: web.Request) -> web.StreamResponse:
    raise web.HTTPMethodNotAllowed(request.method, ("GET", "POST"))


async def _every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await work()
        await asyncio.sleep(seconds)
