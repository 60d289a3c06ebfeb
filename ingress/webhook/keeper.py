"""A place that can keep an entry, with a breaker in front: stream and inbox look the same here."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from shared import log, metrics

_log = log.get(__name__)
_T = TypeVar("_T")

_FAILURES = 3
"""So many in a row, and entries go past this keeper until a probe finds it well."""

_PROBE_SECONDS = 10.0  # room for sending a full ring again


class Keeper:
    """One of the backlog's two places.

    `append` stores an entry durably or raises, and has `patience` seconds for it; `probe` looks
    whether the place answers (or raises) and may return why it must not be used all the same.
    """

    def __init__(
        self,
        name: str,
        append: Callable[[bytes], Awaitable[object]],
        probe: Callable[[], Awaitable[str | None]],
        patience: float,
    ) -> None:
        self.name = name
        self._append = append
        self._probe = probe
        self._patience = patience
        self._failures = _FAILURES - 1  # a failure at the start is believed at once
        self._barred: str | None = None
        self._told: str | None = None
        self._left_behind: set[asyncio.Future[Any]] = set()
        self._kept = metrics.backlog_entries.labels(name)
        self._refused = metrics.backlog_refusals.labels(name)
        self._in_use = metrics.backlog_usable.labels(name)

    @property
    def usable(self) -> bool:
        """Tell whether entries are offered to this keeper."""
        return self._barred is None and self._failures < _FAILURES

    async def keep(self, packed: bytes, deadline: float) -> bool:
        """Store an entry before `deadline` (loop time); true when it is durable here."""
        left = deadline - asyncio.get_running_loop().time()
        if not self.usable or left <= 0:
            return False
        try:
            await self._within(min(self._patience, left), self._append(packed))
        except Exception as error:  # whatever it was, the entry may not be here
            self._refused.inc()
            if left >= self._patience or not isinstance(error, TimeoutError):
                self._failed(error)
            return False
        self._failures = 0
        self._tell(None)
        self._kept.inc()
        return True

    async def probe(self) -> None:
        """Look whether the place can be used, so that no request has to find out."""
        try:
            self._barred = await self._within(_PROBE_SECONDS, self._probe())
        except Exception as error:  # whatever it was, the place is not well
            self._failed(error)
        else:
            self._failures = 0
            if self._barred:
                self._tell(self._barred)
        self._in_use.set(self.usable)

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures >= _FAILURES:
            self._tell(str(error) or f"no answer in {self._patience} s")

    def _tell(self, reason: str | None) -> None:
        """Log why entries go elsewhere, once a reason, and that they no longer do."""
        if reason == self._told:
            return
        self._told = reason
        if reason is None:
            _log.info("keeper_back", keeper=self.name)
        else:
            _log.warning("keeper_refuses", keeper=self.name, reason=reason)

    async def _within(self, seconds: float, work: Awaitable[_T]) -> _T:
        """Await `work` no longer than `seconds`, whatever it does when it is cancelled.

        asyncio.timeout would wait for a driver that tidies up a connection to a silent server.
        """
        task = asyncio.ensure_future(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=seconds)
        finally:
            if not task.done():
                task.cancel()
                self._left_behind.add(task)
                task.add_done_callback(self._forget)
        if not done:
            raise TimeoutError
        return task.result()

    def _forget(self, task: "asyncio.Future[Any]") -> None:
        self._left_behind.discard(task)
        if not task.cancelled():
            task.exception()  # seen: nobody waits for it any more


class Turns:
    """Several keepers as one: entries go to each in turn, past those that cannot take any."""

    def __init__(self, keepers: Sequence[Keeper]) -> None:
        self._keepers = deque(keepers)

    async def keep(self, packed: bytes, deadline: float) -> bool:
        """Store an entry before `deadline` (loop time); true when it is durable in one of them."""
        for _ in range(len(self._keepers)):
            self._keepers.rotate(-1)
            if await self._keepers[-1].keep(packed, deadline):
                return True
        return False
