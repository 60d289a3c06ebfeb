"""A worker or an ingress in which something goes wrong at a point of its way, for tests alone.

    FAILPOINT=after_commit:3 python -m tests.faults.failpoint worker

kills itself; with BLOCKED its event loop stands still again and again, with CLOCK its clock jumps.

The product knows nothing of it: its functions are wrapped here, before it is started.
"""

import importlib
import os
import signal
import sys
import time
from typing import Any

from ingress.webhook.keeper import Keeper
from shared.backlog.stream import StreamReader
from worker.effects import Effects
from worker.writing import Writer

WORKER_POINTS = (
    "after_read",
    "before_write",
    "before_commit",
    "after_commit",
    "after_announce",
    "after_ack",
)
INGRESS_POINTS = ("before_store", "after_store")

_name, _, _number = os.environ.get("FAILPOINT", "none:1").partition(":")
_left = int(_number)
POISON = os.environ.get("POISON")
"""Where set, a worker ends at every item with this mid, as a fault of the interpreter would."""


BLOCKED = float(os.environ.get("BLOCKED", "0"))
"""Seconds for which the event loop stands still each time it comes past its most frequent point."""

CLOCK = float(os.environ.get("CLOCK", "0"))
"""Seconds by which the clock jumps, and back again, every second."""


def passing(point: str) -> None:
    """Die here if this is the point, and the time."""
    global _left  # noqa: PLW0603 - one process, one failpoint
    if point != _name:
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)


def _wrapped(owner: type, name: str, before: str | None, after: str | None) -> None:
    whole = getattr(owner, name)

    async def passed(*args: Any, **options: Any) -> Any:
        if before:
            passing(before)
        result = await whole(*args, **options)
        if after and result not in ([], False):
            passing(after)
        return result

    setattr(owner, name, passed)


def _wrap_apply() -> None:
    whole = Writer._apply

    async def apply(self: Writer, told: Any, within: Any, spans: Any) -> Any:
        if POISON and any(getattr(one.what, "mid", None) == POISON for one in told):
            os._exit(9)

        async def then_die(connection: Any) -> None:
            if within:
                await within(connection)
            passing("before_commit")

        passing("before_write")
        applied = await whole(self, told, then_die, spans)
        passing("after_commit")
        return applied

    Writer._apply = apply  # type: ignore[method-assign]


def _block() -> None:
    """Probes of an ingress come every second, effects of a worker with every batch."""

    def blocked(whole: Any) -> Any:
        async def late(*args: Any, **options: Any) -> Any:
            time.sleep(BLOCKED)
            return await whole(*args, **options)

        return late

    Keeper.probe = blocked(Keeper.probe)  # type: ignore[method-assign]
    Effects.follow = blocked(Effects.follow)  # type: ignore[method-assign]


def _unsettle_clock() -> None:
    """Make `time` jump; what counts durations is monotonic and does not."""
    real, real_ns = time.time, time.time_ns

    def jump() -> float:
        return CLOCK * (int(time.monotonic()) % 2)

    time.time = lambda: real() + jump()
    time.time_ns = lambda: real_ns() + int(jump() * 1e9)


def main() -> None:
    of = sys.argv.pop(1)
    if BLOCKED:
        _block()
    if CLOCK:
        _unsettle_clock()
    _wrapped(StreamReader, "read", None, "after_read")
    _wrapped(StreamReader, "ack", None, "after_ack")
    _wrapped(Effects, "follow", None, "after_announce")
    _wrapped(Keeper, "keep", "before_store", "after_store")
    _wrap_apply()
    sys.exit(importlib.import_module(f"{of}.__main__").main())


if __name__ == "__main__":
    main()
