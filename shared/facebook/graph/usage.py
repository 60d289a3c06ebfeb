"""How much of its limits the app and its Pages have used, read from every answer's headers.

https://developers.facebook.com/docs/graph-api/overview/rate-limiting#headers
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct


class Spent(Struct, frozen=True):
    """How far a limit is used up, in percent, and for how many seconds it stays closed."""

    percent: int = 0
    closed_seconds: int = 0


class Usage(Struct, frozen=True, kw_only=True):
    """What one answer told: of the app, of the Page asked about, of business objects by id."""

    app: int = 0
    page: int = 0
    business: dict[str, Spent] = {}

    def of(self, *ids: str | None) -> Spent:
        """Return what is spent of the Page that goes by these ids, the worst of all tellings."""
        told = [self.business[known] for known in ids if known in self.business]
        return Spent(
            max([self.page, *(spent.percent for spent in told)]),
            max([0, *(spent.closed_seconds for spent in told)]),
        )


class _Counts(Struct):
    call_count: float = 0
    total_cputime: float = 0
    total_time: float = 0
    estimated_time_to_regain_access: float = 0

    def percent(self) -> int:
        return int(max(self.call_count, self.total_cputime, self.total_time))


def read_usage(headers: Mapping[str, str]) -> Usage:
    """Read the usage headers (names in lower case); what cannot be read counts as nothing."""
    return Usage(
        app=_percent(headers.get("x-app-usage")),
        page=_percent(headers.get("x-page-usage")),
        business=_business(headers.get("x-business-use-case-usage")),
    )


def _percent(value: str | None) -> int:
    if not value:
        return 0
    try:
        return msgspec.json.decode(value, type=_Counts, strict=False).percent()
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return 0


def _business(value: str | None) -> dict[str, Spent]:
    if not value:
        return {}
    try:
        told = msgspec.json.decode(value, type=dict[str, list[_Counts]], strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return {
        key: Spent(
            max(counts.percent() for counts in kinds),
            # Facebook counts the time until access is regained in minutes.
            int(60 * max(counts.estimated_time_to_regain_access for counts in kinds)),
        )
        for key, kinds in told.items()
        if kinds
    }
