"""The whole simulator as one object: a truth, a Graph API, webhooks and their controls."""

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from aiohttp import web
from msgspec.structs import replace

from deploy.simulator import history
from deploy.simulator.acts import Act, Acts
from deploy.simulator.calls import Calls
from deploy.simulator.clock import Clock
from deploy.simulator.config import Config, Modes
from deploy.simulator.control import Control
from deploy.simulator.faults import Faults
from deploy.simulator.graph import Graph
from deploy.simulator.labels import Labels
from deploy.simulator.limits import Limits
from deploy.simulator.server import MAX_BODY, GraphServer
from deploy.simulator.subscriptions import FIELDS
from deploy.simulator.tokens import Tokens
from deploy.simulator.traffic import Traffic
from deploy.simulator.truth import Conversation, Platform, Truth
from deploy.simulator.updates import Update
from deploy.simulator.visible import Visible
from deploy.simulator.webhooks import Webhooks


class Simulator:
    """Facebook, offline.

    `async with Simulator(config) as sim:` serves it at `sim.url` until the block ends. `sim.truth`
    is what there is, `sim.tokens.of_page` how to ask for it, `sim.calls` what was asked;
    `sim.faults` and `sim.modes` change how it behaves, `sim.happen` makes something happen, and
    `sim.webhooks.ledger` tells how that was delivered.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self.modes: Modes = replace(self.config.modes)
        self.clock = Clock(speed=self.config.clock_speed, skew=self.config.clock_skew)
        start_ms = self.config.start_ms or self.clock.now_ms()
        self.truth: Truth = history.build(self.config, start_ms)
        for page in self.truth.pages.values():
            page.subscribed_fields = FIELDS
        self.tokens = Tokens(self.config, self.truth, start_ms)
        self.calls = Calls()
        self.faults = Faults(self.config.seed)
        self.limits = Limits(self.modes, self.clock.elapsed, time.monotonic)
        self.webhooks = Webhooks(self.config, self.modes, self.clock)
        self.acts = Acts(self.truth, self.clock, self.config.seed)
        self.traffic = Traffic(
            self.truth, self.acts, self.modes, self.config.seed, self.webhooks.send
        )
        self.graph = Graph(
            self.config,
            self.modes,
            self.clock,
            self.truth,
            tokens=self.tokens,
            limits=self.limits,
            faults=self.faults,
            subscriptions=self.webhooks.subscriptions,
            labels=Labels(self.truth, self.acts, self.webhooks.send),
        )
        self.url = ""
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        server = GraphServer(self.graph, self.modes, self.clock, self.faults, self.calls)
        app = web.Application(client_max_size=MAX_BODY)
        app.add_subapp("/_simulator/", Control(self).application())
        app.router.add_route("*", "/{path:.*}", server.handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
        await self._runner.setup()
        await self.webhooks.start()
        site = web.TCPSite(self._runner, self.config.host, self.config.port)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://{self.config.host}:{port}"
        self._tasks.append(asyncio.create_task(self.traffic.run()))
        if self.config.database_url:
            self.webhooks.visible = Visible(self.config.database_url)
            self._tasks.append(asyncio.create_task(self.webhooks.visible.run()))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.webhooks.close()
        if self._runner:
            await self._runner.cleanup()

    def happen(
        self,
        page: str,
        act: Act = "message",
        *,
        conversations: int | Sequence[str] = 1,
        platform: Platform = "messenger",
        count: int = 1,
        text: str | None = None,
        webhook: bool = True,
        together: bool = False,
    ) -> list[Update]:
        """Do something `count` times in each of some conversations of a Page.

        A number of conversations is spread over the inbox, old and new alike; otherwise they are
        thread ids. Without `webhook` nobody is told; `together` tells all of it in one POST.
        """
        updates: list[Update] = []
        for conversation in self._chosen(page, conversations, platform):
            for _ in range(count):
                updates += self.acts.perform(act, conversation, text)
        if webhook and together:
            self.webhooks.send(updates)
        elif webhook:
            for update in updates:
                self.webhooks.send([update])
        return updates

    def _chosen(
        self, page: str, conversations: int | Sequence[str], platform: Platform
    ) -> list[Conversation]:
        if not isinstance(conversations, int):
            return [self.truth.conversation(page, thread) for thread in conversations]
        rows = self.truth.page(page).inboxes[platform, "inbox"].rows
        step = len(rows) / conversations
        if step < 1:
            raise LookupError(f"Page {page} has {len(rows)} conversations in its inbox")
        return [rows[int((number + 0.5) * step)] for number in range(conversations)]

    def expire_cursors(self) -> None:
        """Refuse every cursor given out so far."""
        self.graph.cursors_void_before_ms = self.clock.now_ms() + 1
