"""The change feed as it happens: one reader a process, many clients."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias
from uuid import UUID

import msgspec
from redis.exceptions import RedisError

from ingress.api.shapes import LiveChange
from ingress.api.streams import HEARTBEAT, event
from shared import log
from shared.cache import Cache
from shared.store import feed
from shared.store.database import Database
from shared.store.feed import FeedChange, Forgotten, Look

_log = log.get(__name__)

TICK = 0.05
"""Seconds: changes of one tick go out as one write."""

LOOK_EVERY = 1.0
"""Seconds between looks at the feed when nothing is announced; most an unannounced change waits."""

MOST = 1000
"""Changes a client may have missed, or one look may find; whoever misses more reloads."""

PENDING_BYTES = 256 << 10
"""What may wait for a client that is slow to read; it then reloads instead."""

_RESET = event("reset", b"{}")
_TURN = 25  # clients served without a breath
_BREATH = (
    0.001  # seconds in which acknowledgements go first: with 500 clients they would wait 20 ms
)


Form: TypeAlias = Callable[[FeedChange, str], bytes]
"""Makes a change into frames that end at a place to resume from."""


class Client:
    """What waits for one stream: changes of `pages` (None: of all), made into frames by `form`."""

    def __init__(self, pages: frozenset[str] | None, form: Form) -> None:
        self.pages = pages
        self.form = form
        self._pending: list[bytes] = []
        self._size = 0
        self._something = asyncio.Event()
        self.offered_at = time.monotonic()

    def offer(self, frames: bytes) -> None:
        """Have the stream send frames; when it lags too far behind, have it reload instead."""
        if self._size + len(frames) > PENDING_BYTES:
            self._pending, self._size, frames = [], 0, _RESET
        self._pending.append(frames)
        self._size += len(frames)
        self.offered_at = time.monotonic()
        self._something.set()

    async def frames(self) -> bytes | None:
        """Wait for frames, and return all there are."""
        await self._something.wait()
        self._something.clear()
        frames = b"".join(self._pending)
        self._pending, self._size = [], 0
        return frames


class Hub:
    """Reads the feed and hands each change to the clients it concerns.

    An announcement only says that there is something to read. What nobody announced, because its
    writer died or could not reach Redis, is found by looking every second; the cache is told of it
    here.
    """

    def __init__(self, database: Database, cache: Cache, *, heartbeat: float) -> None:
        self._database = database
        self._cache = cache
        self._heartbeat = heartbeat
        self._clients: set[Client] = set()
        self._announced: dict[UUID, tuple[int, float]] = {}
        self._something = asyncio.Event()
        self._position: str | None = None

    async def listen(self) -> None:
        """Note what is announced, until cancelled; without Redis, looking has to do."""
        while True:
            with contextlib.suppress(RedisError, OSError):
                async for conversations in self._cache.announcements():
                    for conversation in conversations:
                        self._count(conversation, 1)
                        self._something.set()
            await asyncio.sleep(LOOK_EVERY)

    async def read(self) -> None:
        """Read the feed and hand it out, until cancelled, whatever happens to the stores."""
        while True:
            began = time.monotonic()
            self._something.clear()
            try:
                await self._look()
            except Exception as error:
                _log.warning("feed_unreadable", error=type(error).__name__)
                await asyncio.sleep(LOOK_EVERY)
            await self._keep_alive()
            await asyncio.sleep(began + TICK - time.monotonic())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_EVERY, self._heartbeat)):
                    await self._something.wait()

    def join(self, client: Client) -> None:
        """Let a client have what becomes visible from now on."""
        self._clients.add(client)

    def leave(self, client: Client) -> None:
        """Let a client go."""
        self._clients.discard(client)

    async def missed(
        self, pages: Sequence[str] | None, form: Form, last_event_id: str | None
    ) -> bytes:
        """Return the frames since a client's last one; for a new client, only where it stands."""
        if last_event_id is None:
            return b"id: %s\n\n" % feed.safe(await feed.now(self._database)).encode()
        try:
            position = feed.resumed(last_event_id)
            look = await feed.since(self._database, pages, position, most=MOST)
        except Forgotten:
            return event("reset", b"{}", feed.safe(await feed.now(self._database)))
        if look.more:
            return event("reset", b"{}", feed.safe(look.position))
        place = feed.safe(look.position)
        return b"".join(form(change, place) for change in look.changes)

    async def _look(self) -> None:
        if self._position is None:
            self._position = await feed.now(self._database)
            # Whoever joined before may have missed something before that.
            self._have_all_reload()
        try:
            look = await feed.since(self._database, None, self._position, most=MOST)
        except Forgotten:
            await self._cache.renew()
            self._position = None
            return
        if look.more:
            # Too much happened to tell it one by one.
            await self._cache.renew()
            self._have_all_reload()
        else:
            await self._forget_unannounced(look.changes)
            await self._deliver(look)
        self._position = look.position

    def _have_all_reload(self) -> None:
        for client in self._clients:
            client.offer(_RESET)

    async def _keep_alive(self) -> None:
        """Have those hear something who heard nothing for long."""
        since = time.monotonic() - self._heartbeat
        for turn, client in enumerate(
            one for one in tuple(self._clients) if one.offered_at < since
        ):
            client.offer(HEARTBEAT)
            if turn % _TURN == _TURN - 1:
                await asyncio.sleep(_BREATH)

    async def _forget_unannounced(self, changes: Sequence[FeedChange]) -> None:
        unannounced = [change for change in changes if self._count(change.conversation_id, -1) < 0]
        if unannounced:
            await self._cache.forget(unannounced)
        old = time.monotonic() - LOOK_EVERY
        self._announced = {
            one: (count, at) for one, (count, at) in self._announced.items() if count and at > old
        }

    def _count(self, conversation: UUID, step: int) -> int:
        """Count a conversation's announcements against its changes, which may come in any order."""
        count = self._announced.get(conversation, (0, 0.0))[0] + step
        self._announced[conversation] = count, time.monotonic()
        return count

    async def _deliver(self, look: Look) -> None:
        """Format each change once, join once for all who see the same, wake the streams."""
        if not look.changes:
            return
        place = feed.safe(look.position)
        frames: dict[Form, list[tuple[str, bytes]]] = {}
        joined: dict[tuple[Form, frozenset[str] | None], bytes] = {}
        for turn, client in enumerate(tuple(self._clients)):
            form, pages = client.form, client.pages
            if form not in frames:
                frames[form] = [(change.page_id, form(change, place)) for change in look.changes]
            if (form, pages) not in joined:
                joined[form, pages] = b"".join(
                    frame for page_id, frame in frames[form] if pages is None or page_id in pages
                )
            if joined[form, pages]:
                client.offer(joined[form, pages])
            if turn % _TURN == _TURN - 1:
                await asyncio.sleep(_BREATH)


def live_frame(change: FeedChange, place: str) -> bytes:
    """Return a change as the live feed tells it."""
    told = LiveChange(
        conversation_id=change.conversation_id,
        page_id=change.page_id,
        participant_id=change.participant_id,
        kinds=change.kinds,
        at=change.at,
    )
    return event("change", msgspec.json.encode(told), place)
