"""Acked means durable, whichever store is away."""

import asyncio

import pytest

from ingress.webhook import door, intake
from tests.integration.intake.intake_world import Gated, until


async def test_a_webhook_goes_to_redis_while_redis_answers(gated: Gated) -> None:
    await gated.start()
    assert (await gated.post(b'{"n": 1}'))[0] == 200
    assert [envelope.body for envelope in await gated.in_redis()] == [b'{"n": 1}']
    assert await gated.in_postgres() == []


async def taken(gated: Gated, count: int) -> None:
    """Wait until the ingress has read so many bodies."""
    lane = gated.ingress._door._intake._small

    async def all_in() -> bool:
        return lane._ledger._next + len(lane._pending) >= count

    await until(all_in)


@pytest.mark.usefixtures("patient")
async def test_no_200_before_redis_has_said_so(gated: Gated) -> None:
    await gated.start()
    await gated.postgres_gate.shut()
    gated.redis_gate.stall()
    posting = asyncio.create_task(gated.post(b"{}"))
    await taken(gated, 1)
    await asyncio.sleep(0.3)
    assert not posting.done()
    await gated.redis_gate.open()
    assert (await posting)[0] == 200
    assert len(await gated.in_redis()) == 1


@pytest.mark.usefixtures("patient")
async def test_what_redis_refuses_is_committed_to_postgres_at_once(gated: Gated) -> None:
    await gated.start()
    await gated.redis_gate.shut()
    status, seconds = await gated.post(b'{"n": 1}')
    assert (status, seconds < 10) == (200, True)
    assert [envelope.body for envelope in await gated.in_postgres()] == [b'{"n": 1}']


async def test_a_silent_redis_costs_a_request_less_than_a_second(gated: Gated) -> None:
    await gated.start()
    gated.redis_gate.stall()
    status, seconds = await gated.post(b"{}")
    assert (status, 0.5 < seconds < intake.BUDGET) == (200, True)
    assert len(await gated.in_postgres()) == 1


async def test_after_three_failures_nobody_waits_for_redis_until_it_is_back(gated: Gated) -> None:
    await gated.start()
    gated.redis_gate.stall()
    answers = [await gated.post(b"{}") for _ in range(6)]
    assert [status for status, _ in answers] == [200] * 6
    assert all(seconds < door.REDIS_SECONDS for _, seconds in answers[4:])
    assert (await gated.readiness())["keepers"] == {"redis": False, "postgres": True}
    await gated.redis_gate.open()

    async def redis_is_used() -> bool:
        return (await gated.readiness())["keepers"]["redis"]

    await until(redis_is_used)
    before = len(await gated.in_postgres())
    assert (await gated.post(b'{"back": 1}'))[0] == 200
    assert (await gated.in_redis())[-1].body == b'{"back": 1}'
    assert len(await gated.in_postgres()) == before


async def test_with_both_stores_away_facebook_is_told_to_come_again(gated: Gated) -> None:
    await gated.start()
    await gated.redis_gate.shut()
    await gated.postgres_gate.shut()

    async def not_ready() -> bool:
        return not (await gated.readiness())["ready"]

    await until(not_ready)
    async with gated.session.post(
        "/api/webhook", data=b"{}", headers={"X-Hub-Signature-256": _signature(b"{}")}
    ) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
    for gate in (gated.redis_gate, gated.postgres_gate):
        await gate.open()

    async def accepted() -> bool:
        return (await gated.post(b"{}"))[0] == 200

    await until(accepted)


async def test_with_both_stores_silent_a_request_is_answered_within_its_budget(
    gated: Gated,
) -> None:
    await gated.start()
    gated.redis_gate.stall()
    gated.postgres_gate.stall()
    first = asyncio.create_task(gated.post(b"1"))
    await taken(gated, 1)
    second = asyncio.create_task(gated.post(b"2"))
    for answer in (await first, await second):
        assert answer[0] == 503
        assert answer[1] < 5.0  # when Facebook gives up


async def test_an_ingress_starts_and_acknowledges_with_postgres_down(gated: Gated) -> None:
    await gated.postgres_gate.shut()
    await gated.start()
    assert (await gated.post(b"{}"))[0] == 200
    assert len(await gated.in_redis()) == 1


async def test_an_ingress_starts_and_acknowledges_with_redis_down(gated: Gated) -> None:
    await gated.redis_gate.shut()
    await gated.start()
    assert (await gated.post(b"{}"))[0] == 200
    assert len(await gated.in_postgres()) == 1


async def test_large_bodies_go_to_postgres_and_to_redis_while_postgres_is_away(
    gated: Gated,
) -> None:
    await gated.start()
    small, large = b"s" * intake.LARGE, b"l" * (intake.LARGE + 1)
    for body in (small, large):
        assert (await gated.post(body))[0] == 200
    assert [len(envelope.body) for envelope in await gated.in_redis()] == [len(small)]
    assert [len(envelope.body) for envelope in await gated.in_postgres()] == [len(large)]
    await gated.postgres_gate.shut()
    assert (await gated.post(large))[0] == 200
    assert len(await gated.in_redis()) == 2


@pytest.mark.usefixtures("patient")
async def test_requests_that_wait_together_are_one_entry(gated: Gated) -> None:
    await gated.start()
    gated.redis_gate.stall()
    posting = [asyncio.create_task(gated.post(b"%d" % n)) for n in range(64)]
    await taken(gated, 64)
    await gated.redis_gate.open()
    assert {(await one)[0] for one in posting} == {200}
    stored = await gated.in_redis()
    assert sorted(int(envelope.body) for envelope in stored) == list(range(64))
    assert await gated.redis.xlen("pagewire:backlog") <= 3


@pytest.mark.usefixtures("patient")
async def test_no_entry_grows_past_a_megabyte(gated: Gated) -> None:
    await gated.start()
    gated.redis_gate.stall()
    posting = [asyncio.create_task(gated.post(b"x" * 200_000)) for _ in range(20)]
    await taken(gated, 20)
    await gated.redis_gate.open()
    assert {(await one)[0] for one in posting} == {200}
    entries = await gated.redis.xrange("pagewire:backlog")
    assert max(len(fields[b"e"]) for _, fields in entries) < intake.ENTRY_BYTES + 1000
    assert len(await gated.in_redis()) + len(await gated.in_postgres()) >= 20


@pytest.mark.usefixtures("patient")
async def test_a_client_that_leaves_takes_nobody_else_with_it(gated: Gated) -> None:
    await gated.start()
    gated.redis_gate.stall()
    leaving = asyncio.create_task(gated.post(b'{"leaving": 1}'))
    staying = asyncio.create_task(gated.post(b'{"staying": 1}'))
    await taken(gated, 2)
    leaving.cancel()
    await asyncio.wait({leaving})
    await gated.redis_gate.open()
    assert (await staying)[0] == 200
    bodies = {envelope.body for envelope in await gated.in_redis()}
    assert bodies == {b'{"leaving": 1}', b'{"staying": 1}'}


async def test_postgres_alone_can_be_the_log(gated: Gated) -> None:
    await gated.start(INGRESS_LOG="postgres")
    assert (await gated.post(b"{}"))[0] == 200
    assert (len(await gated.in_redis()), len(await gated.in_postgres())) == (0, 1)
    assert await gated.readiness() == {
        "ready": True,
        "durability": 3,
        "keepers": {"postgres": True},
    }
    await gated.postgres_gate.shut()
    assert (await gated.post(b"{}"))[0] == 503


async def test_both_can_be_the_log_and_either_may_be_away(gated: Gated) -> None:
    await gated.start(INGRESS_LOG="both")
    assert (await gated.post(b"1"))[0] == 200
    assert (len(await gated.in_redis()), len(await gated.in_postgres())) == (1, 1)
    await gated.postgres_gate.shut()
    assert (await gated.post(b"2"))[0] == 200
    await gated.postgres_gate.open()
    await gated.redis_gate.shut()

    async def postgres_is_used() -> bool:
        return (await gated.readiness())["keepers"]["postgres"]

    await until(postgres_is_used)
    assert (await gated.post(b"3"))[0] == 200
    assert [envelope.body for envelope in await gated.in_redis()] == [b"1", b"2"]
    assert [envelope.body for envelope in await gated.in_postgres()] == [b"1", b"3"]


async def test_a_backlog_key_of_another_type_does_not_stop_the_door(gated: Gated) -> None:
    await gated.redis.set("pagewire:backlog", "mine")
    await gated.start()
    assert (await gated.post(b"{}"))[0] == 200
    assert len(await gated.in_postgres()) == 1


def _signature(body: bytes) -> str:
    from shared.facebook.signature import sign
    from tests.integration.intake.intake_world import SECRET

    return sign(body, SECRET)
