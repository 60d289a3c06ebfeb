"""How a job may end, decided in one place from what went wrong and how old the job is."""

from datetime import datetime, timedelta
from typing import TypeAlias

from msgspec import Struct

GIVE_UP_AFTER = timedelta(hours=24)
"""A job that fails in a way nobody foresaw is tried this long, then kept for a person."""

_FIRST_RETRY = timedelta(seconds=1)
_LONGEST_RETRY = timedelta(minutes=15)


class Done(Struct, frozen=True):
    """It is done; nothing follows."""


class RetryIn(Struct, frozen=True):
    """It failed and is worth another try after this time."""

    after: timedelta


class Snooze(Struct, frozen=True):
    """Its time has not come (a limit, a lease): no failure, no try."""

    until: datetime


class DeadLetter(Struct, frozen=True):
    """It will not succeed by itself: kept for a person. `error` quotes no content."""

    reason: str
    error: str


class Park(Struct, frozen=True):
    """Its Page needs a person first (a token, a permission); only that Page stops."""

    reason: str


Outcome: TypeAlias = Done | RetryIn | Snooze | DeadLetter | Park


def decide(
    error: BaseException, *, passing: bool, tries: int, age: timedelta, dice: float
) -> RetryIn | DeadLetter:
    """Return what becomes of a job that raised.

    `passing` says that a store or the network was away: that alone never uses a job up. Waits
    double with each of the `tries` and are spread by `dice` (0 to 1), so that what failed
    together does not come back together.
    """
    if age >= GIVE_UP_AFTER and not passing:
        return DeadLetter("failed", f"Given up after {tries} tries: {type(error).__name__}")
    wait = min(_LONGEST_RETRY, _FIRST_RETRY * 2 ** min(tries - 1, 20))
    return RetryIn(wait * (0.5 + dice / 2))
