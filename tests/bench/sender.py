"""Posts over loopback on kept connections, with as little work of its own as can be."""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence

from msgspec import Struct

from tests.bench.traffic import Post

CONNECTIONS = 64
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Answer(Struct, frozen=True):
    """What became of one post; times are seconds of the machine's clock, as Postgres reads it."""

    mids: list[str]
    sent: float
    acked: float
    status: int


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection with one request in flight."""

    def __init__(self) -> None:
        self._seen = b""
        self._answered: asyncio.Future[int]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head = self._seen.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self._seen, 0, head)
        if len(self._seen) >= head + 4 + (int(length[1]) if length else 0):
            status, self._seen = int(self._seen[9:12]), b""
            self._answered.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        if hasattr(self, "_answered") and not self._answered.done():
            self._answered.set_exception(exc or ConnectionResetError())

    async def post(self, request: bytes) -> int:
        """Return the status; raises ConnectionError when the other side hangs up."""
        if self.transport.is_closing():
            raise ConnectionResetError
        self._answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answered


async def send(
    port: int, posts: Sequence[Post], rate: float | None = None, connections: int = CONNECTIONS
) -> list[Answer]:
    """Send posts at `rate` a second whether or not they are answered (open loop), or as fast as
    the connections allow.

    A post that found every connection busy counts from when it was due.
    """
    answers: list[Answer] = []
    began = time.time() + 0.05
    due = (began + number / rate if rate else 0.0 for number in range(len(posts)))
    queue = zip(posts, due, strict=True)
    loop = asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(Connection, "127.0.0.1", port))[1]
        for _ in range(min(connections, len(posts)))
    ]
    try:
        await asyncio.gather(*(_send(connection, queue, answers) for connection in opened))
    finally:
        for connection in opened:
            connection.transport.close()
    return answers


async def _send(
    connection: Connection, queue: Iterator[tuple[Post, float]], answers: list[Answer]
) -> None:
    for post, due in queue:
        late = due < time.time()
        if not late:
            await asyncio.sleep(due - time.time())
        sent = due if late and due else time.time()
        status = await connection.post(post.request)
        answers.append(Answer(post.mids, sent, time.time(), status))
