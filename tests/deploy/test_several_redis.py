"""The backlog on several Redis servers: one joins, one leaves, one dies, and nothing is lost."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.backlog.stream import State, Stream
from shared.redis import connect
from tests.deploy.sentinels import Server
from tests.stack import Process, Stack, running

PAGE = "1001"


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[list[Server]]:
    """Two for the backlog."""
    durable = ("appendonly yes", "appendfsync always", 'save ""')
    servers = [Server(tmp_path / f"redis-{n}", *durable) for n in (1, 2)]
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.kill()


def url(server: Server) -> str:
    return f"redis://127.0.0.1:{server.port}/0"


async def look(server: Server) -> State:
    stream = Stream(connect(url(server)))
    try:
        return await stream.state()
    finally:
        await stream.aclose()


class Installation:
    """A stack whose processes are started anew with other servers, as a deploy does it."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.sent = stack, 0

    def process(self, kind: str, *servers: Server) -> Process:
        """Return that kind of process, made anew for these servers."""
        given = {"BACKLOG_REDIS_URLS": " ".join(map(url, servers))}
        made = self.stack.process(kind, kind, **given)
        setattr(self.stack, kind, made)
        return made

    async def deploy(self, kind: str, *servers: Server) -> None:
        getattr(self.stack, kind).stop()
        self.process(kind, *servers).start()
        if kind == "ingress":
            await self.stack.until(self.stack.answers)

    async def send(self, count: int) -> None:
        for _ in range(count):
            assert await self.stack.post(_webhook(self.sent)) == 200
            self.sent += 1

    async def all_stored(self) -> bool:
        return await self.stack.rows("select count(*) from messages") == [(self.sent,)]


async def test_one_is_added_and_one_is_drained_without_losing_what_waits(
    servers: list[Server], database: str, redis_url: str, tmp_path: Path
):
    old, new = servers
    here = Installation(Stack(database, redis_url, tmp_path))
    stack = here.stack
    here.process("ingress", old)
    here.process("worker", old)
    async with running(stack):
        await stack.command("page", "add", PAGE, "--name", "Corner shop")
        await here.send(5)
        await stack.until(here.all_stored)

        # One is added: workers first, so that nothing can lie where nobody reads.
        await here.deploy("worker", old, new)
        await here.deploy("ingress", old, new)
        await here.send(10)
        assert (await look(old)).length == 10
        assert (await look(new)).length == 5
        await stack.until(here.all_stored)

        # One is drained: ingresses first. What waits in it is read until it is empty.
        stack.worker.stop()
        await here.send(10)
        assert (await look(old)).unapplied == 5
        await here.deploy("ingress", new)
        await here.send(10)
        assert (await look(old)).unapplied == 5
        here.process("worker", new, old).start()
        await stack.until(here.all_stored)

        async def worked_off() -> bool:
            return (await look(old)).unapplied == 0

        await stack.until(worked_off)
        await here.deploy("worker", new)
        old.kill()
        await here.send(5)
        await stack.until(here.all_stored)


async def test_one_that_dies_costs_no_acknowledgement(
    servers: list[Server], database: str, redis_url: str, tmp_path: Path
):
    dying, staying = servers
    here = Installation(Stack(database, redis_url, tmp_path))
    here.process("ingress", dying, staying)
    here.process("worker", dying, staying)
    async with running(here.stack):
        await here.stack.command("page", "add", PAGE, "--name", "Corner shop")
        await here.send(10)
        dying.kill()
        await here.send(20)
        dying.start()
        await here.stack.until(here.all_stored)
        spilled = (await look(staying)).length
        assert spilled >= 20, "what the dead one could not take went to Postgres"


def _webhook(number: int) -> bytes:
    item = {
        "sender": {"id": f"70{number % 5}"},
        "recipient": {"id": PAGE},
        "timestamp": 1_764_000_000_000 + number,
        "message": {"mid": f"m_{number}", "text": "hello"},
    }
    entry = {"id": PAGE, "time": 1_764_000_000_000, "messaging": [item]}
    return json.dumps({"object": "page", "entry": [entry]}).encode()
