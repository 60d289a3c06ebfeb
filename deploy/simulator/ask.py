"""One Graph call while it is being answered."""

from typing import Any

from msgspec import Struct

from deploy.simulator import paging
from deploy.simulator.calls import Call
from deploy.simulator.fields import Field
from deploy.simulator.paging import Slice
from deploy.simulator.shapes import Json, View, edge, limit_of, link
from deploy.simulator.tokens import Grant

LATEST = (26, 0)
OLDEST = (20, 0)
_NOT_REPEATED = frozenset({"after", "before", "limit", "pretty"})


class Ask(Struct, kw_only=True):
    """One call being answered: what is asked, by whom, and how the truth is looked at."""

    call: Call
    grant: Grant
    view: View
    fields: tuple[Field, ...]
    short: bool

    @property
    def parameters(self) -> dict[str, str]:
        """Return the parameters other than token and proof."""
        return self.call.parameters

    @property
    def version(self) -> tuple[int, int]:
        """Return the version that answers."""
        return served_version(self.call.version)

    def limit(self) -> int:
        """Return how many rows are asked for."""
        return limit_of(self.parameters.get("limit"))

    def rows(self) -> int:
        """Return how many rows are given: fewer than the limit is not the end."""
        return max(1, self.limit() // 2) if self.short else self.limit()

    def link(self, path: str) -> str:
        """Return the address of an edge, to be completed with a cursor."""
        kept = {k: v for k, v in self.parameters.items() if k not in _NOT_REPEATED}
        return link(self.view, path, {**kept, "limit": str(self.limit())})

    def edge(self, path: str, found: Slice[Any], data: list[Json]) -> Json:
        """Return an edge with the addresses of its neighbours."""
        return edge(self.view, found, data, self.limit(), self.link(path))

    def numbered(self, rows: list[Any]) -> Slice[Any]:
        """Return the asked-for slice of a short list."""
        after, before = self.parameters.get("after"), self.parameters.get("before")
        return paging.numbered(rows, self.view.cursors, self.limit(), after, before)


def served_version(asked: str | None) -> tuple[int, int]:
    """Return the version that answers: a dead one is served by the oldest that lives."""
    if not asked:
        return LATEST
    major, minor = asked.removeprefix("v").split(".")
    return max(OLDEST, (int(major), int(minor)))
