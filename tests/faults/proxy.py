"""A way to a server's unix socket that can be made bad while it is used."""

import asyncio
import random
from pathlib import Path
from typing import Literal, TypeAlias, get_args

Toxic: TypeAlias = Literal["latency", "black_hole", "reset", "slicer", "limit", "refuse"]
Answer: TypeAlias = bytes
TOXICS: tuple[Toxic, ...] = get_args(Toxic)

LATENCY = 0.2  # seconds each way
LIMIT = 2_000  # bytes a connection carries before it is cut


class Proxy:
    """Carries bytes between a socket of its own (`here`) and a server's; `be` makes it bad.

    latency: every piece waits; black_hole: nothing is carried, nothing is refused; reset: all
    connections are cut, new ones with their first bytes; slicer: pieces of a few bytes; limit:
    a connection is cut after LIMIT bytes; refuse: nothing listens. Bytes are what a Redis that
    is not well answers every command with, which it does not carry out.
    """

    def __init__(self, there: str, here: Path) -> None:
        self._there, self._here = there, here
        self._toxic: Toxic | Answer | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._ways: set[asyncio.Task[None]] = set()
        self._dice = random.Random(0)

    async def be(self, toxic: Toxic | Answer | None) -> None:
        """Become bad in one way, or (None) good again."""
        # An answer too many must not be taken for that of a later command.
        stale = isinstance(self._toxic, bytes)
        self._toxic = toxic
        if toxic == "black_hole":
            self._flowing.clear()
        else:
            self._flowing.set()
        if stale or toxic in {"refuse", "reset"}:
            await self._cut()
        if toxic == "refuse":
            await self._shut()
        elif self._server is None:
            self._server = await asyncio.start_unix_server(self._way, self._here)

    async def close(self) -> None:
        await self._shut()
        await self._cut()

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._here.unlink(missing_ok=True)

    async def _cut(self) -> None:
        ways = list(self._ways)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)

    async def _way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._ways.add(task)
        ends = [writer]
        try:
            there_reader, there_writer = await asyncio.open_unix_connection(self._there)
            ends.append(there_writer)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._carry(reader, there_writer, back=writer))
                tasks.create_task(self._carry(there_reader, writer))
        except* (OSError, EOFError):
            pass
        except* asyncio.CancelledError:
            pass
        finally:
            self._ways.discard(task)
            for end in ends:
                end.transport.abort()

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        back: asyncio.StreamWriter | None = None,
    ) -> None:
        carried = 0
        while data := await reader.read(1 << 16):
            await self._flowing.wait()
            carried += len(data)
            match self._toxic:
                case bytes(answer) if back is not None:
                    if data.startswith(b"*"):
                        back.write(answer)
                    continue
                case "latency":
                    await asyncio.sleep(LATENCY)
                case "reset":
                    raise EOFError
                case "limit" if carried > LIMIT:
                    raise EOFError
                case "slicer":
                    while len(data) > 8:
                        size = self._dice.randrange(1, max(2, len(data) // 8))
                        writer.write(data[:size])
                        data = data[size:]
                        await asyncio.sleep(0)
                case _:
                    pass
            writer.write(data)
            await writer.drain()
        raise EOFError
