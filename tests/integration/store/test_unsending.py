"""What was unsent is forgotten in the raw copies too, whoever writes at the same moment."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared import events
from shared.store import applying
from shared.store.applying import apply
from shared.store.database import Database
from shared.store.rows import Batch, RawRow
from worker.merge import reduce

ABOUT: dict[str, Any] = {
    "platform": "messenger", "page_id": "1", "participant_id": "7", "mid": "m_1",
}  # fmt: skip
AT = 1_764_000_000_000


@pytest.fixture
async def store(database: str) -> AsyncIterator[Database]:
    opened = Database(database, writer=True)
    yield opened
    await opened.close()


def with_raw(event: events.Event, identity: int, *, is_unsend: bool = False) -> Batch:
    batch = reduce([event])
    raw = RawRow(
        received_ms=AT, identity=identity.to_bytes(16, "big"), object="page", page_id="1",
        participant_id="7", mid="m_1", bytes=b"secret", is_unsend=is_unsend,
    )  # fmt: skip
    batch.raws[raw.identity] = raw
    return batch


@pytest.mark.parametrize("first", ["edit", "unsend"])
async def test_an_edit_that_tells_nothing_new_and_an_unsend_meet(
    store: Database, first: str
) -> None:
    sent = events.Message(
        **ABOUT, direction="in", source="message", sent_ms=AT, exact=True, as_of_ms=AT + 9, text="a"
    )
    newer = events.Edit(**ABOUT, direction="in", at_ms=AT + 9, num_edit=2, text="c")
    await apply(store, reduce([sent, newer]))
    old_edit = with_raw(
        events.Edit(**ABOUT, direction="in", at_ms=AT + 1, num_edit=1, text="secret"), 1
    )
    unsend = with_raw(events.Unsend(**ABOUT, direction="in", at_ms=AT + 2), 2, is_unsend=True)
    order = [old_edit, unsend] if first == "edit" else [unsend, old_edit]
    assert await _meet(store, *order) == [None, b"secret"]


@pytest.mark.parametrize("first", ["reaction", "unsend"])
async def test_a_reaction_and_an_unsend_of_what_nobody_has_heard_of_meet(
    store: Database, first: str
) -> None:
    """Neither can see a row of the other's, nor wait for one."""
    reaction = with_raw(events.Reaction(**ABOUT, actor_id="7", at_ms=AT, active=True, emoji="❤"), 1)
    unsend = with_raw(events.Unsend(**ABOUT, direction="in", at_ms=AT + 2), 2, is_unsend=True)
    order = [reaction, unsend] if first == "reaction" else [unsend, reaction]
    assert await _meet(store, *order) == [None, b"secret"]


async def test_whoever_is_overtaken_too_often_sees_an_unsend_all_the_same(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked before the unsend, and writes after it for the last time."""
    monkeypatch.setattr(applying, "_TRIES", 1)
    sent = with_raw(
        events.Message(
            **ABOUT, direction="in", source="message", sent_ms=AT, exact=True, as_of_ms=AT, text="a"
        ),
        1,
    )
    unsend = with_raw(events.Unsend(**ABOUT, direction="in", at_ms=AT + 2), 2, is_unsend=True)
    assert await _meet(store, unsend, sent) == [None, b"secret"]


async def _meet(store: Database, first: Batch, second: Batch) -> list[bytes | None]:
    """Apply a batch while another is about to commit; return what is left of the raw copies."""
    written, go_on = asyncio.Event(), asyncio.Event()

    async def pause(_: Any) -> None:
        written.set()
        await go_on.wait()

    one = asyncio.create_task(apply(store, first, pause))
    await written.wait()
    other = asyncio.create_task(apply(store, second))
    # Either it waits for the first one's lock, or it is done already: both are given time.
    await asyncio.wait({other}, timeout=0.3)
    go_on.set()
    await asyncio.gather(one, other)
    async with store.connection() as connection:
        rows = await connection.fetch("select bytes from raw_events order by identity")
    return [row["bytes"] for row in rows]
