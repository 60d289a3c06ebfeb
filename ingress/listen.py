"""A listener with aiohttp's open-ended defaults closed. Every limit here was measured.

aiohttp alone waits an hour for the rest of a header and for ever for an answer to be read, keeps
inflating a refused gzip body, takes any number of connections, quotes a bad request back and logs a
traceback for each.
"""

import asyncio
import itertools
import json
import os
import resource
import secrets
import socket
import sys
import time
from http import HTTPStatus

from aiohttp import ClientConnectionResetError, web

from shared.errors import PagewireError
from shared.tasks import end

LINGER_SECONDS = 1.0  # reading on after a refusal, so that the client gets to see the answer
TOGETHER_SECONDS = 0.1
"""Processes that share a port are told to stop together. Whoever left one before the other had
stopped listening would wait there in vain, and be cut off."""

DRAIN_SECONDS = 1.0  # on shutdown, for clients of open connections to be told to leave
HANDLER_SECONDS = 4.0  # on shutdown, for answers under way
_SPARE_FILES = 128  # for the stores, the logs and Python itself
_LEAST_RATE = 1024  # bytes a second a client must read: a tenth of what the slowest phone does

_SERVER = "Pagewire"


class CannotListen(PagewireError):
    """An address cannot be listened on."""


class _Connection(web.RequestHandler):
    """aiohttp's connection, which answers a malformed request without quoting or logging it."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, ClientConnectionResetError):
            raise exc  # the client has hung up: nobody is left to answer, and nothing to log
        if status >= 500:
            answer = super().handle_error(request, status, exc, message)
        else:
            answer = _malformed(status)
            answer.force_close()
        answer.headers["Server"] = _SERVER
        return answer


class _TurnedAway(asyncio.Protocol):
    """What becomes of a connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()


class Listener:
    """One application on one address."""

    idle_seconds = 10.0
    """A connection that sends no complete request header for this long is closed."""

    reader_seconds = 15.0
    """A client that takes its answer at less than a kilobyte a second for this long is cut off."""

    most_connections = 4096
    """Further ones are turned away, as are those the limit of open files has no room for."""

    def __init__(self, app: web.Application) -> None:
        app.on_response_prepare.append(self._dress)
        self._runner = web.AppRunner(app, shutdown_timeout=HANDLER_SECONDS)
        self._requests = itertools.count()
        self._request_prefix = secrets.token_hex(4)
        self._draining = self._shared = False
        self._server: asyncio.Server | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int, *, shared: bool = False) -> int:
        """Listen, and return the port (0 asks for a free one); raises CannotListen.

        With `shared`, other processes may listen on the same port at the same time.
        """
        self._shared = shared
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self.most_connections = min(self.most_connections, _files_allowed() - _SPARE_FILES)
        try:
            self._server = await loop.create_server(
                self._connection, host, port, backlog=1024, reuse_port=shared or None
            )
        except OSError as error:
            raise _cannot_listen(host, port, error) from error
        self._watching = loop.create_task(self._watch_readers())
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def drain(self) -> None:
        """Take no new connection, and ask those that are open to leave."""
        if self._server is not None:
            self._server.close()
        if self._shared:
            await asyncio.sleep(TOGETHER_SECONDS)
        self._draining = True
        for _ in range(int(DRAIN_SECONDS / 0.02)):
            if self._runner.server is None or not self._runner.server.connections:
                return
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Wait for the answers under way, then close what is left."""
        await self._runner.cleanup()
        if self._watching is not None:
            await end([self._watching])

    async def _watch_readers(self) -> None:
        """Cut off who lets answers lie: what is not read would hold a connection for ever."""
        marks: dict[asyncio.BaseTransport, tuple[float, int]] = {}
        while self._runner.server is not None:
            await asyncio.sleep(self.reader_seconds / 10)
            now, before, marks = time.monotonic(), marks, {}
            for connection in self._runner.server.connections if self._runner.server else ():
                transport = connection.transport
                if not isinstance(transport, asyncio.Transport):
                    continue
                if not (left := transport.get_write_buffer_size()):
                    continue
                since, size = before.get(transport, (now, left))
                if now - since > self.reader_seconds:
                    transport.abort()
                elif left < size - _LEAST_RATE * (now - since):
                    marks[transport] = (now, left)
                else:
                    marks[transport] = (since, size)

    def _connection(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None or len(server.connections) >= self.most_connections:
            return _TurnedAway()
        return _Connection(
            server,
            loop=asyncio.get_running_loop(),
            auto_decompress=False,
            keepalive_timeout=self.idle_seconds,
            lingering_time=LINGER_SECONDS,
            access_log=None,  # type: ignore[arg-type]
        )

    async def _dress(self, _: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        headers["Server"] = _SERVER
        headers["X-Request-ID"] = f"{self._request_prefix}-{next(self._requests):x}"
        if self._draining:
            headers["Connection"] = "close"
            response.force_close()


def _malformed(status: int) -> web.Response:
    """Answer with a problem document (RFC 9457), as everything else under `/api/` does."""
    title = HTTPStatus(status).phrase
    detail = "This is no HTTP request that can be read, or its line or a header is too long."
    problem = {"title": title, "status": status, "detail": detail, "error": detail}
    body = json.dumps({"type": "about:blank", **problem})
    return web.Response(status=status, text=body, content_type="application/problem+json")


def reserve(host: str, port: int) -> socket.socket:
    """Return a socket that keeps a port (0: a free one) for processes that share it.

    Raises CannotListen when somebody listens there already, even one who would share.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(address)
            address = alone.getsockname()
        held = socket.socket(family, kind)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
    except OSError as error:
        raise _cannot_listen(host, port, error) from error
    return held


def _cannot_listen(host: str, port: int, error: OSError) -> CannotListen:
    # asyncio writes addresses into strerror; a name that does not resolve has no errno above 0.
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    return CannotListen(
        f"Cannot listen on {host} port {port}: {reason}. Stop what uses it, or choose another."
    )


def _files_allowed() -> int:
    """Raise the limit of open files as far as we may, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else sys.maxsize
