"""How commands print: data to stdout, as JSON or for reading; notes to stderr."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, TypeAlias

import msgspec
from cyclopts import Parameter

from shared.store.pages import Page

AsJson: TypeAlias = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]


def json(value: object) -> None:
    """Print a value as one line of JSON."""
    print(msgspec.json.encode(value).decode(), flush=True)


def table(rows: Iterable[Mapping[str, object]], *, empty: str) -> None:
    """Print rows under their names; without rows say `empty` on stderr instead."""
    from rich.table import Table

    shown = [{name: cell(value) for name, value in row.items()} for row in rows]
    if not shown:
        note(empty)
        return
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in shown[0]:
        grid.add_column(name, overflow="fold")
    for row in shown:
        grid.add_row(*row.values())
    _print(grid)


def facts(pairs: Mapping[str, object]) -> None:
    """Print one thing: a line a fact."""
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in pairs.items():
        grid.add_row(name, cell(value))
    _print(grid)


def pages(found: Sequence[Page], *, as_json: bool, empty: str) -> None:
    """Print Pages; without any say `empty`."""
    if as_json:
        json(found)
        return
    table(
        (
            {
                "name": page.name,
                "status": page.status,
                "last synced": page.last_synced_at,
                "facebook id": page.facebook_page_id,
                "instagram id": page.instagram_id,
                "id": page.id,
            }
            for page in found
        ),
        empty=empty,
    )


def note(text: str) -> None:
    """Say something to the person that is no result."""
    print(text, file=sys.stderr)


def cell(value: object) -> str:
    """Return a value as it reads in a table."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(cell, value))
    return printable(str(value))


def printable(text: str) -> str:
    """Return text that cannot move a terminal's cursor, colour it or end a line."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _print(grid: object) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        # A pipe has no width: nothing is folded.
        console = Console(highlight=False, markup=False, emoji=False, width=10_000)
    console.print(grid)
