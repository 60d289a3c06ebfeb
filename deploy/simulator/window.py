"""The times a caller asks for, as far as Facebook heeds them.

Meta's reference says "Time-based pagination is not available for the conversations endpoint";
`updated_after_ms` and `updated_before_ms` appeared in v26.0's specification without a word.
https://developers.facebook.com/docs/graph-api/reference/page/conversations/
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from deploy.simulator import errors
from deploy.simulator.config import Modes

_FOREVER_MS = 2**62


def window(
    parameters: Mapping[str, str], modes: Modes, version: tuple[int, int]
) -> tuple[int, int]:
    """Return [from, to) of `updated_time` in milliseconds."""
    start, end = 0, _FOREVER_MS
    if "since" in parameters and modes.since != "ignore":
        if modes.since == "refuse":
            raise errors.invalid("Time-based pagination is not available for this endpoint")
        start = (_seconds(parameters["since"]) + (modes.since == "exclusive")) * 1000
    if modes.updated_after == "honour" and version >= (26, 0):
        start = max(start, _milliseconds(parameters, "updated_after_ms", start))
        end = min(end, _milliseconds(parameters, "updated_before_ms", end))
    return start, end


def _seconds(text: str) -> int:
    """Read Unix seconds or an ISO 8601 time."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise errors.invalid("Param since must be a valid time") from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def _milliseconds(parameters: Mapping[str, str], name: str, otherwise: int) -> int:
    text = parameters.get(name)
    if text is None:
        return otherwise
    if not text.isascii() or not text.isdigit():
        raise errors.invalid(f"Param {name} must be an integer greater than or equal to 0")
    return int(text)
