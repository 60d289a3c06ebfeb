"""How nodes and edges are shown: asked-for fields only, empty ones left out, links absolute."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlencode

from msgspec import Struct
from msgspec import field as default

from deploy.simulator import errors
from deploy.simulator.config import Modes
from deploy.simulator.fields import Field
from deploy.simulator.paging import Cursors, Slice

T = TypeVar("T")
Json: TypeAlias = dict[str, Any]
Read: TypeAlias = Callable[["View", T, Field], Any]
Readers: TypeAlias = Mapping[str, Read[T]]

DEFAULT_LIMIT = 25
_days: dict[int, str] = {}


class View(Struct):
    """How one call looks at the truth: when, with which token, under which address."""

    modes: Modes
    base: str
    token: str
    now_ms: int
    cursors: Cursors
    page_tokens: Mapping[str, str]
    queries: dict[int, str] = default(default_factory=dict)


def graph_time(at_ms: int) -> str:
    """Return a time as Graph writes it: whole seconds, no colon in the offset."""
    day, second = divmod(at_ms // 1000, 86_400)
    date = _days.get(day)
    if date is None:
        date = _days[day] = time.strftime("%Y-%m-%dT", time.gmtime(day * 86_400))
    return f"{date}{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}+0000"


def query(view: View, parameters: Mapping[str, str]) -> str:
    """Return the query of an address; like Facebook's it carries the token."""
    return urlencode({"access_token": view.token, "pretty": "0", **parameters})


def link(view: View, path: str, parameters: Mapping[str, str]) -> str:
    """Return the absolute address of an edge, to be completed with a cursor."""
    return f"{view.base}/{path}?{query(view, parameters)}"


def never(*_: object) -> None:
    """Read a field that nothing here has."""


def edge(view: View, found: Slice[Any], data: Sequence[Any], limit: int, address: str) -> Json:
    """Return an edge: its rows, cursors, and the addresses of its neighbours."""
    if not found.rows:
        return {"data": []}
    around: Json = {"cursors": {"before": found.before, "after": found.after}}
    if found.newer:
        around["previous"] = f"{address}&before={found.before}"
    if found.older or (view.modes.trailing_next and len(found.rows) >= limit):
        around["next"] = f"{address}&after={found.after}"
    return {"data": data, "paging": around}


def pick(value: Json, wanted: tuple[Field, ...] | None) -> Json:
    """Return the asked-for keys of an object, and its id, as nested expansion does."""
    if wanted is None:
        return value
    picked = {}
    for field in wanted:
        if (inner := value.get(field.name)) is not None:
            nested = field.children is not None and isinstance(inner, dict)
            picked[field.name] = pick(inner, field.children) if nested else inner
    if "id" in value:
        picked.setdefault("id", value["id"])
    return picked


def limit_of(text: str | None) -> int:
    """Read a `limit`; raises Graph's code 100."""
    if not text:
        return DEFAULT_LIMIT
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise errors.invalid("Param limit must be a positive integer")
    return int(text)


class Shape(Struct, frozen=True):
    """The fields of one type of node: its name in errors, its readers, what comes unasked."""

    type: str
    readers: Mapping[str, Read[Any]]
    default: tuple[Field, ...]

    def wanted(self, asked: tuple[Field, ...] | None) -> tuple[Field, ...]:
        """Return the fields to show, always with the id; raises for one that is not there."""
        if not asked:
            return self.default
        for field in asked:
            if field.name not in self.readers:
                raise errors.nonexisting_field(field.name, self.type)
        return asked if any(field.name == "id" for field in asked) else (*asked, Field("id"))

    def show(self, view: View, node: Any, asked: tuple[Field, ...] | None) -> Json:
        """Return one node."""
        return self.show_all(view, (node,), asked)[0]

    def show_all(
        self, view: View, rows: Sequence[Any], asked: tuple[Field, ...] | None
    ) -> list[Json]:
        """Return many nodes with the same fields."""
        plan = [(field.name, self.readers[field.name], field) for field in self.wanted(asked)]
        shown = []
        for node in rows:
            values = {}
            for name, read, field in plan:
                value = read(view, node, field)
                if value is not None:
                    values[name] = value
            shown.append(values)
        return shown
