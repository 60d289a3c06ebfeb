"""A worker or an ingress that kills itself at a point of its way, for tests alone.

    FAILPOINT=after_commit:3 python -m tests.faults.failpoint worker

The product knows nothing of it: its functions are wrapped here, before it is started.
"""

import importlib
import os
import signal
import sys
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


def main() -> None:
    of = sys.argv.pop(1)
    _wrapped(StreamReader, "read", None, "after_read")
    _wrapped(StreamReader, "ack", None, "after_ack")
    _wrapped(Effects, "follow", None, "after_announce")
    _wrapped(Keeper, "keep", "before_store", "after_store")
    _wrap_apply()
    sys.exit(importlib.import_module(f"{of}.__main__").main())


if __name__ == "__main__":
    main()
