"""What was unsent leaves nothing of itself in letters, nor in what nobody understands.

The message's own row and raw copies are `applying`'s. Here is what may name a message anywhere
within: dead letters, events, raw items of unknown kinds; those that lie there when a message is
unsent, and those that come afterwards.
"""

import re
from collections.abc import Collection, Iterator
from typing import TypeAlias

from shared.store import queries
from shared.store.database import Connection
from shared.store.rows import Batch

_SQL = queries.load("unsending.sql")

# A string in JSON that may be a message's id: all seen so far are longer, and have no spaces.
_MAYBE_MID = re.compile(rb'"((?:[^"\\\s]|\\/){16,512})"')

Named: TypeAlias = tuple[str | None, str]
"""A message that some bytes may name, and their Page, where it is known."""


def named_in(batch: Batch) -> set[Named]:
    """Return what a batch's letters, events and raw items of unknown kinds may name."""
    found = {name for row in batch.dead for name in _named(row.page_id, row.bytes)}
    for event in batch.events.values():
        found.update(_named(event.page_id, event.payload))
    for raw in batch.raws.values():
        if raw.mid is None and raw.bytes is not None:
            found.update(_named(raw.page_id, raw.bytes))
    return found


def _named(page_id: str | None, content: bytes) -> Iterator[Named]:
    for match in _MAYBE_MID.findall(content):
        mid = match.replace(b"\\/", b"/").decode("utf-8", "replace")
        yield page_id, mid
        yield page_id, f"m_{mid}"


async def begin(connection: Connection, *, unsends: bool) -> None:
    """Have what is about to be written see all unsends before it, and they all of it."""
    await connection.execute(_SQL["hold_others_up" if unsends else "wait_for_unsends"])


async def unsent_among(connection: Connection, named: Collection[Named]) -> set[tuple[str, str]]:
    """Return those that are messages of ours, and unsent."""
    if not named:
        return set()
    rows = await connection.fetch(
        _SQL["unsent_among"], [page_id for page_id, _ in named], [mid for _, mid in named]
    )
    return {(row["page_id"], row["mid"]) for row in rows}


async def forget(connection: Connection, gone: Collection[tuple[str, str]]) -> None:
    """Take unsent messages (Page, id) out of whatever names them."""
    keys = sorted(gone)
    for statement in ("forget_unknown_raw_events", "forget_events", "forget_dead_letters"):
        await connection.execute(
            _SQL[statement], [page_id for page_id, _ in keys], [mid for _, mid in keys]
        )
