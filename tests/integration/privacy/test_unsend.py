"""A message that was taken back leaves nothing of itself anywhere."""

import itertools

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
