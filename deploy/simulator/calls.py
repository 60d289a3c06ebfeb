"""Graph calls: as they come in, as they are answered, and the record of all of them."""

import re
from collections import deque

from msgspec import Struct

KEPT = 100_000
"""So many of the newest calls are remembered; the counts go on."""


class Call(Struct, frozen=True, kw_only=True):
    """One Graph call: a request of its own or an item of a batch.

    `path` has neither version nor slashes at its ends; `base` is the address before it, with the
    version where the caller wrote one. `token` and `proof` are not among the `parameters`.
    """

    method: str
    path: str
    base: str
    version: str | None
    parameters: dict[str, str]
    token: str | None
    proof: str | None
    batched: bool = False


class Answer(Struct, kw_only=True):
    """What Graph says: status, JSON, headers. A `body` of None is the `null` of a batch."""

    http: int
    body: bytes | None
    headers: dict[str, str]
    page: str | None = None
    code: int | None = None
    subcode: int | None = None


class Record(Struct, frozen=True, kw_only=True):
    """A call that was answered. `request` numbers HTTP requests, `item` the calls of a batch.

    A batch leaves one record for itself, with the path `/` and no item, and one for each item.
    """

    request: int
    item: int | None
    at_ms: int
    milliseconds: float
    method: str
    path: str
    page: str | None
    parameters: dict[str, str]
    http: int
    code: int | None
    subcode: int | None


class Calls:
    """The record of answered calls, oldest first."""

    def __init__(self) -> None:
        self._records: deque[Record] = deque(maxlen=KEPT)
        self._requests = 0

    def number(self) -> int:
        """Return the number of the HTTP request that begins now."""
        self._requests += 1
        return self._requests

    def add(self, record: Record) -> None:
        """Note a call that was answered."""
        self._records.append(record)

    def clear(self) -> None:
        """Forget all calls; numbers go on."""
        self._records.clear()

    def list(
        self, path: str | None = None, page: str | None = None, code: int | None = None
    ) -> list[Record]:
        """Return the calls whose path matches a regular expression, of a Page, with an error.

        Raises ValueError for what is no regular expression.
        """
        try:
            pattern = re.compile(path or "")
        except re.error as error:
            raise ValueError(f"`path` is no regular expression: {error}") from None
        return [
            record
            for record in self._records
            if pattern.search(record.path)
            and (page is None or record.page == page)
            and (code is None or record.code == code)
        ]

    def requests(self) -> int:
        """Return how many HTTP requests there were: a batch counts once."""
        return len({record.request for record in self._records})
