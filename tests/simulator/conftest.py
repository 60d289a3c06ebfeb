"""A simulator a test, a plain client for its Graph API, and a receiver for its webhooks."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from deploy.simulator import Config, Simulator

Simulate = Callable[..., Awaitable[Simulator]]


@dataclass
class Reply:
    """What came back, JSON read."""

    status: int
    data: Any
    headers: dict[str, str]

    @property
    def error(self) -> tuple[int, int | None]:
        """The code and subcode of an error."""
        told = self.data["error"]
        return told["code"], told.get("error_subcode")


class Reader:
    """Asks a simulator as a Page's owner would."""

    def __init__(self, sim: Simulator, session: aiohttp.ClientSession) -> None:
        self.sim = sim
        self.session = session

    @property
    def page(self) -> str:
        return next(iter(self.sim.truth.pages))

    @property
    def token(self) -> str:
        return self.sim.tokens.of_page[self.page]

    async def ask(self, method: str, path: str, **parameters: Any) -> Reply:
        parameters = {"access_token": self.token, **parameters}
        query = {name: str(value) for name, value in parameters.items() if value is not None}
        url = path if path.startswith("http") else f"{self.sim.url}/{path}"
        query = {} if path.startswith("http") else query
        async with self.session.request(method, url, params=query) as reply:
            text = await reply.text()
            is_json = "json" in reply.headers["Content-Type"]
            return Reply(reply.status, json.loads(text) if is_json else text, dict(reply.headers))

    async def get(self, path: str, **parameters: Any) -> Reply:
        return await self.ask("GET", path, **parameters)

    async def conversations(self, **parameters: Any) -> Reply:
        return await self.get(f"v26.0/{self.page}/conversations", **parameters)

    async def walk(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return all rows of an edge, following cursors."""
        rows, after = [], None
        while True:
            data = (await self.get(path, after=after, **parameters)).data
            rows += data["data"]
            if "next" not in data.get("paging", {}):
                return rows
            after = data["paging"]["cursors"]["after"]

    async def batch(self, items: list[Any], **parameters: Any) -> Reply:
        form = {"access_token": self.token, "batch": json.dumps(items), **parameters}
        async with self.session.post(self.sim.url, data=form) as reply:
            return Reply(reply.status, json.loads(await reply.read()), dict(reply.headers))

    async def control(self, method: str, path: str, body: Any = None) -> Reply:
        async with self.session.request(
            method, f"{self.sim.url}/_simulator/{path}", json=body
        ) as reply:
            return Reply(reply.status, await reply.json(), dict(reply.headers))


@dataclass
class Receiver:
    """A webhook endpoint that keeps what it gets and answers as told."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    delay: float = 0
    verify_token: str = "simulator-verify-token"

    async def receive(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.headers.append(dict(request.headers))
        await asyncio.sleep(self.delay)
        return web.Response(status=self.status)

    async def agree(self, request: web.Request) -> web.Response:
        if request.query.get("hub.verify_token") != self.verify_token:
            return web.Response(status=403)
        return web.Response(text=request.query["hub.challenge"])

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition, at most ten seconds."""
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)

    @property
    def items(self) -> list[dict[str, Any]]:
        """Everything received, element by element."""
        return [
            item
            for body in self.bodies
            for entry in json.loads(body)["entry"]
            for channel in ("messaging", "standby", "changes")
            for item in entry.get(channel, [])
        ]


@pytest.fixture
async def simulate() -> AsyncIterator[Simulate]:
    """Start simulators that end with the test: `await simulate(pages=2)`."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Simulator:
            return await stack.enter_async_context(Simulator(Config(**settings)))

        yield start


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def reader(simulate: Simulate, session: aiohttp.ClientSession) -> Callable[..., Any]:
    """Start a simulator and a client for it: `await reader(conversations=3)`."""

    async def start(**settings: Any) -> Reader:
        return Reader(await simulate(**settings), session)

    return start


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application(client_max_size=2**24)
    app.router.add_post("/webhook", receiver.receive)
    app.router.add_get("/webhook", receiver.agree)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhook"
    yield receiver
    await runner.cleanup()
