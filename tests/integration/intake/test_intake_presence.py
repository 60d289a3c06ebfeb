"""What an ingress leaves in Postgres about itself, and the gaps that follow from it."""

import errno
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingress.webhook.ledger import Ledger
from ingress.webhook.presence import Presence
from ingress.webhook.will import Will
from shared.backlog.postgres import open_pool
from shared.backlog.witness import Gap, Witness
from shared.errors import Unavailable
from tests.integration.intake.intake_world import Gated, World


async def boots(world: World) -> list[tuple[str, str]]:
    rows = await world.sql(
        "select boot, acked::text as acked from ingress_boots order by started_at"
    )
    return [tuple(row) for row in rows]


async def gaps(world: World) -> list[tuple[str, datetime, datetime]]:
    rows = await world.sql("select cause, from_at, until_at from gaps order by id")
    return [tuple(row) for row in rows]


async def test_an_ingress_writes_down_what_it_acknowledged(world: World) -> None:
    for _ in range(3):
        await world.post(b"{}")
    await world.ingress._door._beat()
    ((_, acked),) = await boots(world)
    assert acked == "{[0,3)}"


async def test_refused_envelopes_are_not_counted_as_acknowledged(gated: Gated) -> None:
    await gated.start()
    await gated.post(b"kept")
    for gate in (gated.redis_gate, gated.postgres_gate):
        await gate.shut()
    assert [(await gated.post(b"refused"))[0] for _ in range(2)] == [503, 503]
    for gate in (gated.redis_gate, gated.postgres_gate):
        await gate.open()
    while (await gated.post(b"kept"))[0] != 200:
        pass
    await gated.ingress._door._beat()
    ((_, acked),) = await boots(gated)
    spans = acked.strip("{}").split(",[")
    assert spans[0] == "[0,1)"
    assert len(spans) == 2


async def test_the_first_start_ever_is_no_gap(world: World) -> None:
    await world.ingress._door._beat()
    assert await gaps(world) == []


async def test_a_quick_restart_is_no_gap(world: World) -> None:
    await world.stop()
    await world.start()
    await world.ingress._door._beat()
    assert len(await boots(world)) == 2
    assert await gaps(world) == []


async def test_a_time_without_any_ingress_is_a_gap(world: World) -> None:
    await world.stop()
    await world.sql("update ingress_boots set seen_at = now() - interval '1 hour'")
    await world.start()
    await world.ingress._door._beat()
    ((cause, from_at, until_at),) = await gaps(world)
    assert cause == "no_ingress"
    hour = timedelta(hours=1)
    # A minute earlier than the last sign: deliveries may have failed before it.
    assert timedelta(seconds=55) < until_at - from_at - hour < timedelta(seconds=70)
    assert abs(datetime.now(UTC) - until_at) < timedelta(seconds=10)


async def test_several_that_start_together_report_one_gap(database: str) -> None:
    pool = await open_pool(database, size=4, patience=5)
    old = Witness(pool, "door:0", "old", patience=5)
    await old.arrive(timedelta())
    async with pool.acquire() as connection:
        await connection.execute("update ingress_boots set seen_at = now() - interval '1 hour'")
    for name in ("door:0", "door:1", "door:2"):
        await Witness(pool, name, "new", patience=5).arrive(timedelta())
    async with pool.acquire() as connection:
        assert await connection.fetchval("select count(*) from gaps") == 1
    await pool.close()


async def test_while_another_ingress_lives_a_start_is_no_gap(database: str) -> None:
    pool = await open_pool(database, size=4, patience=5)
    for name in ("door:0", "door:1"):
        await Witness(pool, name, "old", patience=5).arrive(timedelta())
    async with pool.acquire() as connection:
        await connection.execute(
            "update ingress_boots set seen_at = now() - interval '1 hour' where ingress = 'door:0'"
        )
    assert await Witness(pool, "door:0", "new", patience=5).arrive(timedelta()) is None
    await pool.close()


async def test_gaps_found_while_postgres_is_away_are_written_when_it_is_back(gated: Gated) -> None:
    await gated.start()
    await gated.postgres_gate.shut()
    now = datetime.now(UTC)
    gated.ingress._door._presence.suspect(Gap(cause="test", from_at=now, until_at=now))
    await gated.ingress._door._beat()
    await gated.postgres_gate.open()
    await gated.ingress._door._beat()
    await gated.ingress._door._beat()
    assert [cause for cause, _, _ in await gaps(gated)] == ["test"]


async def test_what_the_dead_left_is_written_down_once_it_can_be_read(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ingress out of file descriptors goes on, and looks again with its next beat."""
    dead = Will("door", "dead", deployment="ours", folder=tmp_path)
    dead.write(0, [(0, 5)])
    dead.close()
    pool = await open_pool(database, size=2, patience=5)
    will = Will("door", "next", deployment="ours", folder=tmp_path)
    presence = Presence(
        Witness(pool, "door", "next", patience=5), Ledger("door", "next", will.write), will
    )

    def refused(_: Will) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as out_of_files:
        out_of_files.setattr(Will, "others", refused)
        with pytest.raises(Unavailable, match="Too many open files"):
            await presence.beat()
    await presence.beat()
    async with pool.acquire() as connection:
        left = await connection.fetchval(
            "select acked::text from ingress_boots where boot = 'dead'"
        )
    assert left == "{[0,5)}"
    will.told()
    will.close()
    await pool.close()
