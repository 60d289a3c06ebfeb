"""Call limits: rolling windows that refused calls fill too, and the headers that tell of them.

https://developers.facebook.com/docs/graph-api/overview/rate-limiting
"""

import json
import math
from collections import defaultdict, deque
from collections.abc import Callable

from deploy.simulator import errors
from deploy.simulator.config import Modes


class Rolling:
    """The times of the calls in one window."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def count(self, now: float, window: float) -> int:
        """Return how many calls the window that ends now holds."""
        times = self._times
        while times and times[0] <= now - window:
            times.popleft()
        return len(times)

    def add(self, now: float, window: float) -> int:
        """Note a call; return how many the window held before it."""
        before = self.count(now, window)
        self._times.append(now)
        return before

    def room_after(self, now: float, window: float, limit: int) -> float:
        """Return in how many seconds a call would be let in, if none came before."""
        over = self.count(now, window) - limit
        return max(0.0, self._times[over] + window - now) if over >= 0 else 0.0


class Limits:
    """The three limits a reader of conversations meets, each off while its mode is 0.

    `clock` gives accelerated seconds: a spent budget comes back as fast as hours pass.
    Calls a second are counted in real time.
    """

    def __init__(self, modes: Modes, clock: Callable[[], float], real: Callable[[], float]) -> None:
        self._modes = modes
        self._clock = clock
        self._real = real
        self._app = Rolling()
        self._budgets: dict[str, Rolling] = defaultdict(Rolling)
        self._seconds: dict[str, Rolling] = defaultdict(Rolling)

    def forget(self) -> None:
        """Empty every window."""
        self._app = Rolling()
        self._budgets.clear()
        self._seconds.clear()

    def admit(self, page: str | None) -> None:
        """Count a call against the app and its Page; raises 4 or 80006 when one is spent."""
        now, modes = self._clock(), self._modes
        spent = page is not None and self._spend(self._budgets[page], now, modes.messenger_budget)
        if self._spend(self._app, now, modes.app_budget):
            raise errors.refuse("4")
        if spent:
            raise errors.refuse("80006")

    def _spend(self, rolling: Rolling, now: float, budget: int) -> bool:
        return bool(budget) and rolling.add(now, self._modes.budget_window) >= budget

    def admit_reading(self, account: str) -> None:
        """Count a call that reads conversations of one account; raises 613 above the rate."""
        limit = self._modes.page_calls_per_second
        if limit and self._seconds[account].add(self._real(), 1.0) >= limit:
            raise errors.refuse("613")

    def headers(self, page: str | None) -> dict[str, str]:
        """Return the usage headers as they stand after a call, refused or not."""
        headers, modes, now = {}, self._modes, self._clock()
        window = modes.budget_window
        if modes.app_budget:
            usage = _usage(self._app.count(now, window), modes.app_budget)
            headers["X-App-Usage"] = json.dumps(usage, separators=(",", ":"))
        if modes.messenger_budget and page is not None:
            rolling = self._budgets[page]
            usage = _usage(rolling.count(now, window), modes.messenger_budget)
            minutes = math.ceil(rolling.room_after(now, window, modes.messenger_budget) / 60)
            entry = {"type": "messenger", **usage, "estimated_time_to_regain_access": minutes}
            headers["X-Business-Use-Case-Usage"] = json.dumps(
                {page: [entry]}, separators=(",", ":")
            )
        return headers


def _usage(calls: int, budget: int) -> dict[str, int]:
    percent = calls * 100 // budget
    return {"call_count": percent, "total_cputime": percent // 2, "total_time": percent // 2}
