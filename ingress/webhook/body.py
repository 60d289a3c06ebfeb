"""Reads request bodies within bounds: of size, of time, and of memory for all of them together."""

import asyncio

from aiohttp import StreamReader, web

LARGEST = 8 << 20
"""Bytes of one body. Facebook batches up to 1000 updates a request and documents no size."""


class Refused(Exception):
    """A request that gets no 200; `reason` is a word for the client and the metrics."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Bodies:
    """All bodies in memory. What `read` returned is counted until `release`."""

    most = 64 << 20
    """Bytes of all bodies that are being read or wait to be durable."""

    seconds = 5.0
    """A body that takes longer than this to arrive is cut off."""

    def __init__(self) -> None:
        self._bytes = 0

    async def read(self, request: web.Request) -> bytes:
        """Return the raw bytes of a body; raises Refused, as early as it can be known."""
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Refused(415, "compressed")
        _check_size(request.content_length or 0)
        content = request.content
        if content.is_eof():  # all of it came with the headers: the usual case, and no timer
            body = content.read_nowait(-1)
            self._count(len(body))
            return body
        try:
            async with asyncio.timeout(self.seconds):
                return await self._collect(content)
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            raise Refused(408, "slow") from None
        except (ConnectionError, web.RequestPayloadError):
            raise Refused(400, "cut_off") from None

    def release(self, body: bytes) -> None:
        """Stop counting a body that `read` returned."""
        self._bytes -= len(body)

    async def _collect(self, content: StreamReader) -> bytes:
        body = bytearray()
        try:
            while part := await content.readany():
                self._count(len(part))
                body += part
                _check_size(len(body))
        except BaseException:
            self._bytes -= len(body)
            raise
        return bytes(body)

    def _count(self, size: int) -> None:
        # Only what has arrived counts: a declared length is a claim, and would cost nothing.
        if self._bytes + size > self.most:
            raise Refused(503, "overloaded")
        self._bytes += size


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise Refused(413, "too_large")
