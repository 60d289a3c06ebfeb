"""Server-sent events: what every open stream of this process has in common.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import time
from collections import Counter
from typing import Protocol
from uuid import UUID

from aiohttp import hdrs, web
from msgspec import Struct

from ingress.api.callers import Callers
from ingress.api.problems import Problem

_RETRY = b"retry: 1000\n\n"

HEARTBEAT = b": \n\n"
"""A comment: whoever listens knows by it that the line is not dead."""

MOST_OF_A_KEY = 500
"""Streams one key may have open here: a team with many tabs, and far fewer than all connections."""


class Rhythm(Struct, frozen=True):
    """Seconds: between heartbeats, between looks at the key, that a client may take no bytes."""

    heartbeat: float = 15.0
    recheck: float = 300.0
    patience: float = 30.0


class Source(Protocol):
    """Where a stream's frames come from, a heartbeat where nothing else came for so long."""

    async def frames(self) -> bytes | None:
        """Wait for frames and return them, None at the end."""
        ...


def event(name: str, data: bytes, position: str | None = None) -> bytes:
    """Return a frame; `data` is one line."""
    head = f"event: {name}\n" if position is None else f"event: {name}\nid: {position}\n"
    return b"%sdata: %s\n\n" % (head.encode(), data)


class Streams:
    """The open streams. They end with their key, and at shutdown, which must not wait for them."""

    def __init__(self, callers: Callers, rhythm: Rhythm) -> None:
        self._callers = callers
        self._rhythm = rhythm
        self._tasks: set[asyncio.Task[None]] = set()
        self._of_keys: Counter[UUID] = Counter()

    @property
    def heartbeat(self) -> float:
        """Seconds after which a source lets one hear that it lives."""
        return self._rhythm.heartbeat

    def __len__(self) -> int:
        return len(self._tasks)

    async def serve(self, request: web.Request, source: Source) -> web.StreamResponse:
        """Answer a request with what `source` has, for as long as its key is valid.

        Raises a 429 Problem where the key has too many streams open.
        """
        key = (await self._callers.of(request)).key.id
        if self._of_keys[key] >= MOST_OF_A_KEY:
            raise Problem(429, f"This key has {MOST_OF_A_KEY} streams open: close some.")
        self._of_keys[key] += 1
        try:
            return await self._serve(request, source)
        finally:
            self._of_keys[key] -= 1
            self._of_keys = +self._of_keys

    async def _serve(self, request: web.Request, source: Source) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={hdrs.CONTENT_TYPE: "text/event-stream", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        task = asyncio.create_task(self._pump(request, response, source))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()
        return response

    def close(self) -> None:
        """End all streams; browsers come back a second later."""
        for task in self._tasks:
            task.cancel()

    async def _pump(
        self, request: web.Request, response: web.StreamResponse, source: Source
    ) -> None:
        check_at = time.monotonic() + self._rhythm.recheck
        frames: bytes | None = _RETRY
        try:
            while frames is not None:
                async with asyncio.timeout(self._rhythm.patience):
                    await response.write(frames)
                if time.monotonic() >= check_at:
                    await self._callers.of(request)
                    check_at = time.monotonic() + self._rhythm.recheck
                # Without a limit: with hundreds of streams a tick, a timer each costs as much as
                # the writing.
                frames = await source.frames()
        except (Problem, ConnectionError):
            return
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
