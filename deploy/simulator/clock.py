"""Time as the simulator tells it: messages in real time, long waits as fast as asked."""

import asyncio
import time
from email.utils import formatdate


class Clock:
    """Real time for everything a client sees; waits of minutes and hours shortened by `speed`.

    With `speed=60` an hour of failed deliveries, or of a spent call budget, passes in a minute.
    `skew` seconds are added to every time we tell, as if Facebook's clock ran ahead of ours.
    """

    def __init__(self, *, speed: float = 1.0, skew: float = 0.0) -> None:
        self.speed = speed
        self.skew = skew

    def now_ms(self) -> int:
        """Return milliseconds since the epoch."""
        return int((time.time() + self.skew) * 1000)

    def http_date(self) -> str:
        """Return now as a `Date` header says it."""
        return formatdate(time.time() + self.skew, usegmt=True)

    def elapsed(self) -> float:
        """Return seconds on the accelerated clock; only differences mean something."""
        return time.monotonic() * self.speed

    async def wait(self, seconds: float) -> None:
        """Wait until so many seconds have passed on the accelerated clock."""
        await asyncio.sleep(seconds / self.speed)
