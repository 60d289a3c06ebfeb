"""A message that was taken back leaves nothing of itself anywhere."""

import asyncio
import itertools
import json
from typing import Any

import pytest

from shared.store.applying import insert_dead_letters
from shared.store.rows import DeadLetter
from tests.integration.privacy.world import (
    NOW_MS,
    PAGE,
    PERSON,
    WORDS,
    World,
    body,
    item,
    message,
    unsend,
)

MID = f"m_{PERSON}-1"
TOLD = {
    "message": message(PERSON, 1),
    "edit": item(PERSON, 2, message_edit={"mid": MID, "text": f"{WORDS}!", "num_edit": 1}),
    "unsend": unsend(PERSON, 1),
}


@pytest.mark.parametrize("order", list(itertools.permutations(TOLD)), ids="-".join)
@pytest.mark.parametrize("together", [True, False], ids=["one batch", "one by one"])
async def test_in_whatever_order_it_comes_its_text_is_in_no_table(
    world: World, order: tuple[str, ...], together: bool
) -> None:
    bodies = [body(TOLD[name]) for name in order]
    for part in [bodies] if together else [[one] for one in bodies]:
        await world.receive(*part)
    await world.receive(*bodies)
    assert await world.holding(WORDS) == []
    assert len(await world.rows("select 1 from messages where deleted_at is not null")) == 1


@pytest.mark.parametrize("resolution", [None, "retried", "discarded"])
async def test_no_dead_letter_keeps_it(world: World, resolution: str | None) -> None:
    for number in (1, 2):
        letter = DeadLetter(
            source="webhook",
            reason="refused",
            error="why",
            object="page",
            page_id=PAGE,
            bytes=body(message(PERSON, number, WORDS if number == 1 else "other")),
            received_ms=NOW_MS,
        )
        async with world.database.transaction() as connection:
            await insert_dead_letters(connection, [letter])
            await connection.execute("update dead_letters set resolution = $1", resolution)
    await world.receive(body(unsend(PERSON, 1)))
    assert await world.holding(WORDS) == []
    assert len(await world.rows("select 1 from dead_letters")) == 1


LATE: dict[str, bytes] = {
    "a message nobody can read": body(
        item(PERSON, 3, message={"mid": MID, "text": WORDS, "attachments": 7})
    ),
    "a body that was cut off": body(message(PERSON, 1))[:-5],
    "an unknown kind": body(item(PERSON, 4, something_new={"about": MID, "words": WORDS})),
    "an unknown kind of nobody": body({"something_new": {"about": MID, "words": WORDS}}),
    "a change of a field nobody knows": body(
        {"field": "new_field", "value": {"quoted": MID, "words": WORDS}}, of="changes"
    ),
    "another object": json.dumps(
        {"object": "whatever", "entry": [{"id": PAGE, "x": MID, "text": WORDS}]}
    ).encode(),
}


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("how", LATE)
async def test_nothing_that_names_it_keeps_its_words_whenever_it_comes(
    world: World, how: str, before: bool
) -> None:
    """Neither letters, nor what nobody understands; what others wrote stays."""
    others = LATE[how].replace(MID.encode(), b"m_somebody-elses-0001").replace(b"-7c1f", b"-other")
    bodies = [LATE[how], others]
    if before:
        await world.receive(*bodies)
        assert set(await world.holding(WORDS)) & {"dead_letters", "events", "raw_events"}
    await world.receive(body(unsend(PERSON, 1)))
    if not before:
        await world.receive(*bodies)
    assert await world.holding(WORDS) == []
    assert await world.holding("canary-other") != []
    # Redelivered, it finds nothing changed.
    await world.receive(*bodies)
    assert await world.holding(WORDS) == []


async def test_a_letter_and_an_unsend_at_the_same_moment_see_each_other(world: World) -> None:
    """Whoever comes second waits, and then sees what the first one wrote."""
    for first, second in itertools.permutations((body(unsend(PERSON, 1)), LATE["an unknown kind"])):
        await world.rows("truncate messages, events, raw_events, dead_letters")
        written, go_on = asyncio.Event(), asyncio.Event()

        async def pause(_: Any) -> None:
            written.set()  # noqa: B023 - awaited within this turn
            await go_on.wait()  # noqa: B023 - awaited within this turn

        one = asyncio.create_task(world.receive(first, within=pause))
        await written.wait()
        other = asyncio.create_task(world.receive(second))
        async with asyncio.timeout(10):
            while not await world.rows(
                "select 1 from pg_locks where locktype = 'advisory' and not granted"
            ):
                await asyncio.sleep(0.01)
        go_on.set()
        await asyncio.gather(one, other)
        assert await world.holding(WORDS) == []
