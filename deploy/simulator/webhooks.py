"""Delivers webhooks: signs, posts, retries, gives up, and keeps a ledger of every attempt.

https://developers.facebook.com/docs/messenger-platform/webhooks
"""

import asyncio
import io
import time
from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Any

import aiohttp
from msgspec import Struct

from deploy.simulator import wire
from deploy.simulator.clock import Clock
from deploy.simulator.config import Config, Modes
from deploy.simulator.subscriptions import Subscriptions
from deploy.simulator.truth import Page
from deploy.simulator.updates import Update
from deploy.simulator.visible import Visible

KEPT = 100_000
"""So many of the newest attempts, and of the updates nobody was told of, are remembered."""
LATE = 5.0
"""Facebook wants an answer within so many seconds."""
_FIRST_RETRIES = (1, 2, 5, 15, 30, 60, 120, 300)
_LATER = 600
ALERT_AFTER = 900
UNSUBSCRIBE_AFTER = 3600
_GIVE_UP_AFTER = 36 * 3600


class Attempt(Struct, frozen=True, kw_only=True):
    """One POST: when it was sent (seconds since the epoch), and how it was answered.

    `status` is None when there was no answer; `error` then says why, without an address.
    """

    delivery: int
    attempt: int
    pages: tuple[str, ...]
    mids: tuple[str, ...]
    sent_at: float
    milliseconds: float
    status: int | None
    error: str | None = None


class Alert(Struct, frozen=True):
    """What Facebook would tell the app's developers about one Page."""

    page: str
    kind: str
    at_ms: int


class _Parcel(Struct):
    """A body on its way, with the Pages in it, and the messages by account and mid."""

    number: int
    object: str
    body: dict[str, Any]
    pages: dict[str, Page]
    messages: tuple[tuple[str, str], ...]


def retries(*, keep: bool) -> Iterator[int]:
    """Yield the seconds to wait before each attempt, on the accelerated clock."""
    yield 0
    yield from _FIRST_RETRIES
    left = (_GIVE_UP_AFTER if keep else UNSUBSCRIBE_AFTER) - sum(_FIRST_RETRIES)
    while left > 0:
        yield _LATER
        left -= _LATER
    yield _LATER


class Webhooks:
    """Sends what happened to whoever subscribed."""

    def __init__(self, config: Config, modes: Modes, clock: Clock) -> None:
        self._modes = modes
        self._clock = clock
        self._rng = Random(f"{config.seed}/webhooks")
        self.secret = config.app_secret
        self.subscriptions = Subscriptions(config, self.handshake)
        self.ledger: deque[Attempt] = deque(maxlen=KEPT)
        self.alerts: list[Alert] = []
        self.unsent: deque[Update] = deque(maxlen=KEPT)
        self.visible: Visible | None = None
        self._failing_since: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = 0

    async def start(self) -> None:
        """Make ready to connect; comes before everything that sends."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=200), skip_auto_headers={"User-Agent"}
        )

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    @property
    def pending(self) -> int:
        """Return how many deliveries are under way or wait for their next attempt."""
        return len(self._tasks)

    def forget(self) -> None:
        """Forget attempts, alerts and what was not sent."""
        self.ledger.clear()
        self.alerts.clear()
        self.unsent.clear()

    async def settle(self) -> None:
        """Wait until everything sent so far is delivered or given up."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def send(self, updates: list[Update]) -> None:
        """Start to deliver what happened together: one POST for each kind of object."""
        wanted = []
        for update in updates:
            subscribed = update.field in update.page.subscribed_fields
            if subscribed and self._rng.random() >= self._modes.drop:
                wanted.append(self._channelled(update))
            else:
                self.unsent.append(update)
        if self._rng.random() < self._modes.reorder:
            self._rng.shuffle(wanted)
        for kind in ("page", "instagram"):
            if rows := [update for update in wanted if update.object == kind]:
                self._dispatch(kind, rows)

    def _channelled(self, update: Update) -> Update:
        if update.channel == "messaging" and self._rng.random() < self._modes.standby:
            return wire.as_standby(update)
        return update

    def _dispatch(self, kind: str, rows: list[Update]) -> None:
        if kind not in self.subscriptions.callbacks:
            self.unsent.extend(rows)
            return
        copies = 2 if self._rng.random() < self._modes.duplicate else 1
        self._numbers += 1
        for _ in range(copies):
            parcel = _Parcel(
                number=self._numbers,
                object=kind,
                body=wire.body(kind, rows, self._clock.now_ms()),
                pages={row.page.id: row.page for row in rows},
                messages=tuple((row.entry_id, row.mid) for row in rows if row.mid),
            )
            late = self._rng.random() < self._modes.delay
            wait = self._rng.random() * self._modes.delay_seconds if late else 0.0
            task = asyncio.create_task(self._deliver(parcel, wait))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, parcel: _Parcel, wait: float) -> None:
        if wait:
            await asyncio.sleep(wait)
        for attempt, pause in enumerate(retries(keep=self._modes.keep_retrying), start=1):
            if pause:
                await self._clock.wait(pause)
                wire.restamp(parcel.body, self._clock.now_ms())
            if attempt > 1 and not any(page.subscribed_fields for page in parcel.pages.values()):
                return
            if await self._attempt(parcel, attempt):
                for page in parcel.pages:
                    self._failing_since.pop(page, None)
                return
            self._note_failure(parcel)

    async def _attempt(self, parcel: _Parcel, attempt: int) -> bool:
        callback = self.subscriptions.callbacks.get(parcel.object)
        if callback is None:
            return False
        body = wire.encode(parcel.body)
        if self.visible:
            for page_id, mid in parcel.messages:
                self.visible.sent(page_id, mid)
        sent_at, started = time.time(), time.perf_counter()
        status, problem = await self.post(callback.url, body, wire.headers(body, self.secret))
        self.ledger.append(
            Attempt(
                delivery=parcel.number,
                attempt=attempt,
                pages=tuple(parcel.pages),
                mids=tuple(mid for _, mid in parcel.messages),
                sent_at=sent_at,
                milliseconds=(time.perf_counter() - started) * 1000,
                status=status,
                error=problem,
            )
        )
        return status == 200

    async def post(
        self, url: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int | None, str | None]:
        """Post bytes; return the status, or None and why there was no answer."""
        timeout = aiohttp.ClientTimeout(total=self._modes.webhook_timeout)
        try:
            async with self._session.post(
                url, data=io.BytesIO(body), headers=headers, timeout=timeout
            ) as reply:
                await reply.read()
                return reply.status, None
        except TimeoutError:
            return None, "timeout"
        except aiohttp.ClientError as error:
            return None, type(error).__name__

    def _note_failure(self, parcel: _Parcel) -> None:
        """Alert after a quarter of an hour of failures, unsubscribe the Page after an hour."""
        now = self._clock.elapsed()
        for page in parcel.pages.values():
            failing = now - self._failing_since.setdefault(page.id, now)
            if failing >= ALERT_AFTER:
                self._alert(page, "undeliverable")
            if failing >= UNSUBSCRIBE_AFTER and not self._modes.keep_retrying:
                page.subscribed_fields = frozenset()
                self._failing_since.pop(page.id)
                self._alert(page, "webhooks_disabled")

    def _alert(self, page: Page, kind: str) -> None:
        """Note an alert once for each spell of failures."""
        last = next((alert for alert in reversed(self.alerts) if alert.page == page.id), None)
        if last is None or last.kind != kind:
            self.alerts.append(Alert(page.id, kind, self._clock.now_ms()))

    async def handshake(self, url: str, token: str) -> str | None:
        """Ask a callback for its consent; return what was wrong, None when it agreed."""
        challenge = str(self._rng.randrange(10**9, 10**10))
        query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": token}
        agent = "facebookplatform/1.0 (+http://developers.facebook.com)"
        try:
            async with self._session.get(
                url, params=query, headers={"User-Agent": agent}, timeout=aiohttp.ClientTimeout(20)
            ) as reply:
                text = await reply.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"{type(error).__name__} while asking for the challenge"
        if reply.status != 200:
            return f"HTTP Status Code = {reply.status}; HTTP Message = {reply.reason}"
        return None if text == challenge else "the challenge did not come back"
