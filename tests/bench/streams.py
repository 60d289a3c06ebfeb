"""`python -m tests.bench.streams PORT KEY COUNT`: follows the live feed on many connections.

Says `open` when all are; when its input ends, how many changes each got, and the milliseconds
from a webhook's POST to its frame: `tests.bench.reading` puts the time into the person's id.
"""

import asyncio
import json
import re
import sys
import time

from tests.bench.figures import percentile

PERSON = re.compile(rb'"participantId":"(\d{16})"')
SAMPLED = 25  # of so many streams, one takes the times


class Stream(asyncio.Protocol):
    """One connection that follows the feed, with as little work of its own as can be."""

    def __init__(self, head: bytes, samples: bool) -> None:
        self.changes = 0
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
        self.changes += data.count(b"event: change")
        if self._samples:
            now = time.time()
            self.took += [1000 * (now - int(at) / 1e6) for at in PERSON.findall(data)]


async def main(port: int, key: str, count: int) -> None:
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
    await loop.run_in_executor(None, sys.stdin.read)
    took = [one for stream in streams for one in stream.took]
    counts = [stream.changes for stream in streams]
    told = {"fewest": min(counts), "most": max(counts), "frames": len(took)}
    print(json.dumps(told | {f"p{one}": percentile(took, one) for one in (50, 99)}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
