"""One ingress process: what listens where, how it starts and how it stops."""

import asyncio
import os
import socket
from typing import Literal, TypeAlias

from aiohttp import web

from ingress.api import Api, Deps, setup_api
from ingress.health import setup_health, setup_metrics
from ingress.listen import Listener
from ingress.privacy import setup_privacy
from ingress.traces import middlewares
from ingress.web import setup_pages
from ingress.webhook.door import Door
from shared import log
from shared.config import Settings
from shared.heartbeat import Heartbeat
from shared.redis import connect
from shared.watchdog import Watchdog

Half: TypeAlias = Literal["webhook", "api"]

_log = log.get(__name__)

_STORES = ("database_url", "redis_url")
_FACEBOOK = ("facebook_app_secrets", "webhook_verify_token")


def wanted_settings(only: Half | None) -> tuple[str, ...]:
    """Return the settings an ingress cannot do without."""
    return _STORES if only == "api" else _STORES + _FACEBOOK


class Ingress:
    """The doors of this process: start them, run them until told to stop."""

    def __init__(self, settings: Settings, only: Half | None, member: int | None) -> None:
        """`only` opens one half; `member` is the number of a process that shares its ports."""
        self.ports: list[int] = []
        self._settings = settings
        self._only = only
        self._member = member
        self._door: Door | None = None
        self._api: Api | None = None
        self._listeners: list[Listener] = []

    async def start(self) -> None:
        """Open the stores and listen; raises a PagewireError that says what is wrong."""
        try:
            await self._start()
        except BaseException:
            await asyncio.gather(*(listener.close() for listener in self._listeners))
            if self._door:
                await self._door.close()
            raise

    async def _start(self) -> None:
        if self._only != "api":
            name = f"{socket.gethostname()}:{self._settings.ingress_port}/{self._member or 0}"
            self._door = await Door.open(self._settings, name)
        for app, port in self._applications():
            setup_health(app, self._door, self._api)
            listener = Listener(app)
            self._listeners.append(listener)
            self.ports.append(
                await listener.start(
                    self._settings.ingress_host, port, shared=self._member is not None
                )
            )
        _log.info("listening", host=self._settings.ingress_host, ports=self.ports)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then leave in order: no new work, the work under way, the stores."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Watchdog().run(stop))
            background = tasks.create_task(self._door.run()) if self._door else None
            if self._only == "webhook":
                tasks.create_task(self._tell(stop))
            await stop.wait()
            _log.info("stopping")
            await asyncio.gather(*(listener.drain() for listener in self._listeners))
            await asyncio.gather(*(listener.close() for listener in self._listeners))
            if self._door and background:
                background.cancel()
                await self._door.close()

    async def _tell(self, stop: asyncio.Event) -> None:
        """Tell the APIs elsewhere this process's numbers, as one that has an API tells its own."""
        redis = connect(self._settings.redis_url.reveal())
        name = f"{socket.gethostname()}:ingress:{os.getpid()}"
        try:
            await Heartbeat(redis, name=name, kind="ingress", numbers=dict).run(stop)
        finally:
            await redis.aclose()

    def _applications(self) -> list[tuple[web.Application, int]]:
        """Return what listens on which port: Facebook's door first, then the API, the metrics."""
        settings = self._settings
        front = web.Application(middlewares=middlewares())
        applications = [(front, settings.ingress_port)]
        if self._door:
            self._door.mount(front)
            setup_privacy(front, settings)
        api = front
        if settings.api_port is not None and self._only is None:
            api = web.Application(middlewares=middlewares())
            applications.append((api, settings.api_port))
        elif settings.api_port is not None and self._only == "api":
            applications = [(front, settings.api_port)]
        if self._only != "webhook":
            self._api = setup_api(api, Deps(settings))
            setup_pages(api)
        if settings.metrics_port is None:
            setup_metrics(api, private=api is not front or self._only == "api")
        else:
            metrics = web.Application()
            setup_metrics(metrics, private=True)
            applications.append((metrics, settings.metrics_port))
        return applications
