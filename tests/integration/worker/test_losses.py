"""Which acknowledged envelopes were applied is written with their rows; the others are counted."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import Struct

from shared import metrics
from shared.backlog.envelope import Envelope, Origin, pack
from shared.backlog.postgres import open_pool
from shared.backlog.stream import KEY
from shared.backlog.witness import Witness
from shared.redis import connect
from shared.store import losses
from tests.integration.worker.test_ingest import NOW_MS, World, body, message, world
from worker import writing
from worker.losses import Losses

__all__ = ["world"]  # the fixture


class Door(Struct):
    """An ingress as its entries and heartbeats tell of it."""

    world: World
    witness: Witness
    sent: int = 0

    async def sends(self, *bodies: bytes) -> None:
        """Put bodies into the stream as one entry."""
        await self.world.stream.append(self.packed(*bodies))

    def packed(self, *bodies: bytes) -> bytes:
        first, self.sent = self.sent, self.sent + len(bodies)
        return pack(
            Origin("door", "boot", first), [Envelope("webhook", NOW_MS, one) for one in bodies]
        )

    async def beats(self) -> None:
        await self.witness.beat(f"{{[0,{self.sent})}}")


@pytest.fixture
async def door(world: World, database: str) -> AsyncIterator[Door]:
    pool = await open_pool(database, size=1, patience=5)
    witness = Witness(pool, "door", "boot", patience=5)
    await witness.arrive(timedelta())
    yield Door(world, witness)
    await pool.close()


async def look(world: World) -> int:
    await Losses(world.database, [world.stream], world.inbox).look(patience=0)
    return await losses.lost(world.database)


async def applied(world: World) -> str:
    await losses.fold(world.database)
    ((found,),) = await world.rows("select applied::text from ingress_boots")
    return found


async def gaps(world: World) -> list[tuple[str, int]]:
    return await world.rows("select cause, lost from gaps order by id")


def some(first: int, count: int) -> list[bytes]:
    return [body(message(str(number))) for number in range(first, first + count)]


async def test_what_was_applied_is_noted_in_one_transaction_with_its_rows(
    world: World, door: Door
) -> None:
    await door.sends(*some(0, 3))
    await door.sends(*some(3, 2))
    await world.ingest().drain()
    found = await world.rows(
        "select span::text, s.xmin = m.xmin from applied_spans s, messages m where mid = 'm_0'"
    )
    assert found == [("[0,5)", True)]
    assert await applied(world) == "{[0,5)}"
    assert await world.rows("select * from applied_spans") == []


async def test_what_tells_nothing_new_is_noted_too(world: World, door: Door) -> None:
    await door.sends(*some(0, 1))
    await door.sends(*some(0, 1))
    await door.sends(b'{"object": "page", "entry": []}')
    await door.sends(b"no webhook")
    await world.ingest().drain()
    assert await applied(world) == "{[0,4)}"


async def test_an_entry_of_many_items_is_noted_with_its_last(
    world: World, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.ingest.PORTION_ITEMS", 3)
    await door.sends(*some(0, 2))
    await door.sends(body(*(message(str(number)) for number in range(2, 10))))
    await door.sends(*some(10, 1))
    commit, noted = writing.Writer.commit, []

    async def watched(self: writing.Writer, told: list, **how: object) -> writing.Written:
        written = await commit(self, told, **how)
        ((rows,),) = await world.rows("select count(*) from messages")
        noted.append((rows, await applied(world)))
        return written

    monkeypatch.setattr(writing.Writer, "commit", watched)
    await world.ingest().drain()
    assert noted == [(3, "{[0,2)}"), (6, "{[0,2)}"), (9, "{[0,2)}"), (11, "{[0,4)}")]


async def test_what_postgres_refuses_a_part_of_is_noted(
    world: World, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.sends(body(*(message(str(number)) for number in range(5))))
    async with world.database.transaction() as connection:
        await connection.execute("alter table messages add check (mid <> 'm_3')")
    await world.ingest().drain()
    assert await world.rows("select reason from dead_letters") == [("refused",)]
    assert await applied(world) == "{[0,1)}"


async def test_what_is_late_is_not_lost(world: World, door: Door) -> None:
    await door.sends(*some(0, 5))
    await world.inbox.append(door.packed(*some(5, 5)))
    await door.beats()
    for backlog in ("stream", "inbox"):
        with pytest.raises(TimeoutError):
            await impatient(world)
        await world.ingest(backlog).drain()
    assert await look(world) == 0
    assert await gaps(world) == []


async def impatient(world: World) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("worker.losses._WORKED_OFF_BY", 0.3)
        await look(world)


async def test_lost_envelopes_are_counted_exactly_and_make_a_gap(
    world: World, door: Door, redis_url: str
) -> None:
    await door.sends(*some(0, 5))
    await world.ingest().drain()
    await door.beats()
    assert await look(world) == 0
    before = datetime.now(UTC)
    await door.sends(*some(5, 7))
    async with connect(redis_url) as redis:
        await redis.delete(KEY)
    await door.sends(*some(12, 2))
    await door.beats()
    await world.ingest().drain()
    assert await look(world) == 7
    assert await gaps(world) == [("envelopes_lost", 7)]
    assert metrics.backlog_lost._value.get() == 7
    [(from_at,)] = await world.rows("select from_at from gaps")
    assert before - timedelta(seconds=70) < from_at < before
    # And not again.
    assert await look(world) == 7
    assert len(await gaps(world)) == 1


async def test_what_comes_after_it_was_given_up_is_not_lost(
    world: World, door: Door, redis_url: str
) -> None:
    """An ingress that was frozen for long sends its ring when it wakes."""
    packed = door.packed(*some(0, 3))
    await door.beats()
    assert await look(world) == 3
    await world.stream.append(packed)
    await world.ingest().drain()
    assert await look(world) == 0


async def test_what_a_dead_ingress_left_is_counted_with_the_rest(
    world: World, door: Door, database: str
) -> None:
    from shared.backlog.witness import Testament

    await door.sends(*some(0, 2))
    await world.ingest().drain()
    await door.witness.bequeath(Testament("door", "boot", "{[0,6)}", 5.0))
    await door.witness.bequeath(Testament("door", "never written down", "{[0,1)}", 5.0))
    assert await look(world) == 5


async def test_spans_of_a_boot_wait_until_it_is_written_down(world: World, database: str) -> None:
    packed = pack(Origin("door", "new", 0), [Envelope("webhook", NOW_MS, b"{}")])
    await world.stream.append(packed)
    await world.ingest().drain()
    await losses.fold(world.database)
    assert len(await world.rows("select * from applied_spans")) == 1
    pool = await open_pool(database, size=1, patience=5)
    await Witness(pool, "door", "new", patience=5).arrive(timedelta())
    await pool.close()
    assert await applied(world) == "{[0,1)}"
