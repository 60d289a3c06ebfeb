"""The budget that all workers share, in a real Valkey."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from shared.errors import Unavailable
from shared.facebook.graph.limits import Budget, Grant, Priority
from shared.facebook.graph.usage import Spent

PEOPLE, CRON, HISTORY = Priority.PEOPLE, Priority.CRON, Priority.HISTORY


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def test_two_calls_a_second_one_at_a_time_and_no_third(redis):
    budget = Budget(redis, 2)
    assert await budget.take({"1": 9}, CRON) == {"1": Grant(1)}
    assert await budget.take({"1": 5}, CRON) == {"1": Grant(1)}
    refused = (await budget.take({"1": 1}, CRON))["1"]
    assert refused.calls == 0
    assert 0.8 < refused.wait <= 1.1


async def test_any_sliding_second_holds_no_more_than_the_limit(redis):
    budget, granted = Budget(redis, 3), []
    ends = time.monotonic() + 3.3

    async def worker() -> None:
        while time.monotonic() < ends:
            before = time.monotonic()
            grant = (await budget.take({"1": 1}, CRON))["1"]
            if grant.calls:
                granted.append((before, time.monotonic()))
            await asyncio.sleep(grant.wait)

    await asyncio.gather(*(worker() for _ in range(5)))
    granted.sort()
    assert len(granted) >= 6
    # A call was granted somewhere between its two times: this is the least that must hold.
    assert all(
        later[1] - sooner[0] > 1 for sooner, later in zip(granted, granted[3:], strict=False)
    )


async def test_zero_means_no_limit_a_second(redis):
    assert await Budget(redis, 0).take({"1": 200}, HISTORY) == {"1": Grant(200)}


async def test_half_a_call_a_second_is_one_in_two_seconds(redis):
    budget = Budget(redis, 0.5)
    assert (await budget.take({"1": 2}, CRON))["1"] == Grant(1)
    assert 1.9 < (await budget.take({"1": 1}, CRON))["1"].wait <= 2.2


async def test_a_page_out_of_budget_costs_the_others_nothing(redis):
    budget = Budget(redis, 1)
    await budget.take({"1": 1}, CRON)
    granted = await budget.take({"1": 1, "2": 1, "3": 1}, CRON)
    assert [granted[page].calls for page in "123"] == [0, 1, 1]


async def test_a_closed_page_waits_until_the_time_named(redis):
    budget = Budget(redis, 0)
    await budget.learn(Spent(), {"1": Spent(100, 19 * 60)})
    granted = await budget.take({"1": 1, "2": 1}, PEOPLE)
    assert granted["2"].calls == 1
    assert 19 * 60 - 2 < granted["1"].wait <= 19 * 60


async def test_a_shorter_closing_does_not_open_what_is_closed_longer(redis):
    budget = Budget(redis, 0)
    await budget.learn(Spent(), {"1": Spent(100, 600)})
    await budget.learn(Spent(), {"1": Spent(100, 10)})
    assert (await budget.take({"1": 1}, PEOPLE))["1"].wait > 500


async def test_a_paused_app_closes_every_page(redis):
    budget = Budget(redis, 0)
    await budget.learn(Spent(100, 300), {})
    granted = await budget.take({"1": 1, "2": 1}, PEOPLE)
    assert all(grant.calls == 0 and grant.wait > 290 for grant in granted.values())


@pytest.mark.parametrize(("app", "page"), [(Spent(80), Spent()), (Spent(), Spent(80))])
async def test_from_seventy_percent_calls_are_spread_out(redis, app, page):
    budget = Budget(redis, 0)
    await budget.learn(app, {"1": page})
    assert (await budget.take({"1": 9}, PEOPLE))["1"].calls == 1
    assert 3.8 < (await budget.take({"1": 1}, PEOPLE))["1"].wait <= 4


async def test_below_seventy_percent_nothing_is_spread_out(redis):
    budget = Budget(redis, 0)
    await budget.learn(Spent(69), {"1": Spent(69)})
    assert (await budget.take({"1": 9}, PEOPLE))["1"].calls == 9


async def test_the_lower_the_rank_the_sooner_it_slows_down(redis):
    budget = Budget(redis, 0)
    waits = []
    for priority in (PEOPLE, CRON, HISTORY):
        await redis.flushall()
        await budget.learn(Spent(), {"1": Spent(75)})
        await budget.take({"1": 1}, priority)
        waits.append(round((await budget.take({"1": 1}, priority))["1"].wait))
    assert waits == [2, 4, 8]


async def test_no_header_does_not_mean_nothing_spent(redis):
    budget = Budget(redis, 0)
    await budget.learn(Spent(), {"1": Spent(90)})
    await budget.learn(Spent(), {"1": Spent()})
    await budget.take({"1": 1}, PEOPLE)
    assert (await budget.take({"1": 1}, PEOPLE))["1"].wait > 10


async def test_people_come_before_cron_and_cron_before_history(redis):
    budget = Budget(redis, 1)
    await budget.take({"1": 1}, HISTORY)
    for priority in (HISTORY, CRON, PEOPLE):
        assert (await budget.take({"1": 1}, priority))["1"].calls == 0
    await asyncio.sleep(1.11)
    assert (await budget.take({"1": 1}, HISTORY))["1"].calls == 0
    assert (await budget.take({"1": 1}, CRON))["1"].calls == 0
    assert (await budget.take({"1": 1}, PEOPLE))["1"].calls == 1


async def test_one_who_was_refused_and_left_is_not_waited_for_long(redis):
    budget = Budget(redis, 1)
    await budget.take({"1": 1}, CRON)
    assert (await budget.take({"1": 1}, PEOPLE))["1"].calls == 0
    ends = time.monotonic() + 5
    while not (grant := (await budget.take({"1": 1}, HISTORY))["1"]).calls:
        assert time.monotonic() < ends
        await asyncio.sleep(grant.wait)


async def test_fifty_pages_are_asked_for_in_one_round_trip(redis):
    budget = Budget(redis, 2)
    await budget.take({"x": 1}, CRON)
    before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    granted = await budget.take({str(n): 1 for n in range(50)}, CRON)
    assert len(granted) == 50
    after = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert after - before == 1


async def test_nothing_of_a_page_stays_for_ever(redis):
    budget = Budget(redis, 2)
    await budget.take({"1": 3}, CRON)
    await budget.take({"1": 1}, CRON)
    await budget.learn(Spent(50), {"1": Spent(50, 5)})
    for key in await redis.keys("*"):
        assert 0 < await redis.ttl(key) <= 600


async def test_a_redis_that_does_not_answer_is_said_to_be_unavailable():
    budget = Budget(Redis(unix_socket_path="/nowhere/redis.sock"), 2)
    with pytest.raises(Unavailable):
        await budget.take({"1": 1}, CRON)
    with pytest.raises(Unavailable):
        await budget.learn(Spent(50), {})
