"""A Redis primary, its replicas and their sentinels, as processes a test may kill."""

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import redis.asyncio

from deploy.local import binaries, ports

NAME = "pagewire"


class Server:
    """One of them; its folder holds its configuration, which sentinels rewrite."""

    def __init__(self, folder: Path, *options: str, mode: tuple[str, ...] = ()) -> None:
        folder.mkdir(parents=True)
        self.port = ports.any_free("127.0.0.1")
        self._folder, self._mode = folder, mode
        lines = (f"port {self.port}", "bind 127.0.0.1", f"dir {folder}", *options)
        (folder / "conf").write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [binaries.redis().path, self._folder / "conf", *self._mode], stdout=log, stderr=log
            )

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    async def ask(self, *words: str) -> Any:
        client = redis.asyncio.Redis(port=self.port, decode_responses=True)
        try:
            return await client.execute_command(*words)
        finally:
            await client.aclose()


class Group:
    """One primary, two replicas, three sentinels of which two must agree."""

    def __init__(self, folder: Path) -> None:
        durable = ("appendonly yes", "appendfsync always", 'save ""', "maxmemory 256mb")
        durable += ("repl-diskless-sync-delay 0",)
        self.primary = Server(folder / "primary", *durable)
        follow = f"replicaof 127.0.0.1 {self.primary.port}"
        self.replicas = [Server(folder / f"replica-{n}", *durable, follow) for n in range(2)]
        watch = (
            f"sentinel monitor {NAME} 127.0.0.1 {self.primary.port} 2",
            f"sentinel down-after-milliseconds {NAME} 1000",
            f"sentinel failover-timeout {NAME} 4000",
        )
        self.sentinels = [
            Server(folder / f"sentinel-{n}", *watch, mode=("--sentinel",)) for n in range(3)
        ]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{NAME}"

    async def primary_port(self) -> int:
        """Return where the sentinels say the primary is."""
        told = await self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
        return int(told[1])

    async def failed_over(self) -> bool:
        """Tell whether another is the primary now, and says so itself."""
        port = await self.primary_port()
        if port == self.primary.port:
            return False
        [new] = [replica for replica in self.replicas if replica.port == port]
        return (await new.ask("INFO", "replication"))["role"] == "master"

    async def complete(self) -> bool:
        """Tell whether all know of each other."""
        with contextlib.suppress(redis.exceptions.RedisError):
            primary = await self.primary.ask("INFO", "replication")
            in_step = [primary.get(f"slave{n}", {}).get("state") == "online" for n in range(2)]
            others = [await s.ask("SENTINEL", "SENTINELS", NAME) for s in self.sentinels]
            replicas = [await s.ask("SENTINEL", "REPLICAS", NAME) for s in self.sentinels]
            return all(in_step) and all(len(known) == 2 for known in (*others, *replicas))
        return False


@contextlib.asynccontextmanager
async def sentinels(folder: Path) -> AsyncIterator[Group]:
    """Run a group; whatever was done to its processes, they are gone at the end."""
    group = Group(folder)
    servers = [group.primary, *group.replicas, *group.sentinels]
    try:
        for server in servers:
            server.start()
        async with asyncio.timeout(30):
            while not await group.complete():
                await asyncio.sleep(0.1)
        yield group
    finally:
        for server in servers:
            server.kill()
