"""`python -m tests.bench.streams PORT KEY COUNT`: follows the live feed on many connections.

Says `open` when all are. Told on its input how many changes there were, it waits for them, and
says how many each stream got, in how many pieces, and the milliseconds from a webhook's POST to
its frame: `tests.bench.reading` puts the time into the person's id.
"""

import asyncio
import json
import os
import re
import sys
import time

from tests.bench.figures import percentile

PERSON = re.compile(rb'"participantId":"(\d{16})"')
SAMPLED = 25  # of so many streams, one takes the times
PATIENCE = 10.0  # seconds for the last change to arrive


class Stream(asyncio.Protocol):
    """One connection that follows the feed, with as little work of its own as can be."""

    def __init__(self, head: bytes, samples: bool) -> None:
        self.changes = self.reads = 0
        self.took: list[float] = []
        self.opened = asyncio.get_running_loop().create_future()
        self._head = head
        self._samples = samples

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._head)

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            self.opened.set_result(None)
        self.reads += 1
        self.changes += data.count(b"event: change")
        if self._samples:
            now = time.time()
            self.took += [1000 * (now - int(at) / 1e6) for at in PERSON.findall(data)]


async def main(port: int, key: str, count: int) -> None:
    os.nice(19)  # these clients would run on other machines: they take what the servers leave
    head = f"GET /api/live HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n"
    loop = asyncio.get_running_loop()
    streams = []
    for number in range(count):
        _, stream = await loop.create_connection(
            lambda number=number: Stream(head.encode(), number % SAMPLED == 0), "127.0.0.1", port
        )
        streams.append(stream)
    await asyncio.gather(*(stream.opened for stream in streams))
    print("open", flush=True)
    wanted = int(await loop.run_in_executor(None, sys.stdin.readline))
    until = loop.time() + PATIENCE
    while min(stream.changes for stream in streams) < wanted and loop.time() < until:
        await asyncio.sleep(0.05)
    took = [one for stream in streams for one in stream.took]
    counts = [stream.changes for stream in streams]
    told = {"fewest": min(counts), "most": max(counts), "frames": len(took)}
    told["reads"] = max(stream.reads for stream in streams)
    print(json.dumps(told | {f"p{one}": percentile(took, one) for one in (50, 99)}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
