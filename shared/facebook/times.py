"""Facebook's times: milliseconds in messaging, seconds in changes, text in tests."""

import re
from typing import Any

DAY_MS = 86_400_000
EARLIEST_MS = 1_075_852_800_000
"""4 February 2004, the day Facebook began: what lies before is no time in milliseconds."""

_WHOLE = re.compile(r"-?[0-9]{1,20}")


def whole(value: Any) -> int | None:
    """Read a whole number, also from text or a float; `None` if it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    return int(value) if isinstance(value, float) else None


def moment(value: Any, received_ms: int, unit_ms: int = 1) -> int | None:
    """Read a time given in units of `unit_ms`, in milliseconds; `None` if it is none.

    What lies more than a day past `received_ms` is taken as `received_ms`, since no clock of
    Facebook's is a day ahead.
    """
    number = whole(value)
    if number is None or number * unit_ms < EARLIEST_MS:
        return None
    return not_ahead(number * unit_ms, received_ms)


def not_ahead(ms: int, received_ms: int) -> int:
    """Return a time, or `received_ms` if it lies more than a day past that."""
    return ms if ms <= received_ms + DAY_MS else received_ms
