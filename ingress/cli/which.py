"""Which Pages a command is about: one that is named, or all."""

from typing import Annotated, TypeAlias

from cyclopts import Parameter

from ingress.cli.problem import USAGE, Problem
from shared.store import pages
from shared.store.database import Database
from shared.store.pages import Page

_NAMED = Parameter(name="PAGE", help="Our id, Facebook's id or its Instagram account's id.")

ThisPage: TypeAlias = Annotated[str, _NAMED]
MaybePage: TypeAlias = Annotated[str | None, _NAMED]
AllPages: TypeAlias = Annotated[
    bool, Parameter(name="--all", negative="", help="Every active Page.")
]


def one_or_all(page: str | None, *, everything: bool) -> None:
    """Raise Problem unless exactly one of both is given."""
    if (page is None) != everything:
        raise Problem("Say which Page, or --all.", todo="`pagewire page list`", status=USAGE)


async def meant(database: Database, page: str | None) -> list[Page]:
    """Return the Page that is named, or else all that are active. Raises NotFound."""
    if page is not None:
        return [await pages.find(database, page)]
    return [one for one in await pages.listing(database) if one.is_active]
