"""Limits refuse, tell of themselves, and grow while one goes on calling."""

import json

import pytest

from deploy.simulator import Modes
from deploy.simulator.errors import GraphError
from deploy.simulator.limits import Limits, Rolling


class Hands:
    """A clock one moves by hand."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def usage(reply, page):
    (entry,) = json.loads(reply.headers["X-Business-Use-Case-Usage"])[page]
    return entry


def test_a_rolling_window_lets_calls_in_again_one_by_one():
    rolling = Rolling()
    for second in range(3):
        rolling.add(second, 10)
    assert rolling.room_after(3, 10, limit=3) == 7
    assert rolling.room_after(3, 10, limit=4) == 0
    assert rolling.count(10.5, 10) == 2


async def test_two_calls_a_second_for_each_account_and_no_more(reader):
    graph = await reader(
        pages=2, conversations=2, instagram=1, modes=Modes(page_calls_per_second=2)
    )
    second = list(graph.sim.truth.pages)[1]
    assert (await graph.conversations()).status == 200
    assert (await graph.conversations()).status == 200
    assert (await graph.conversations()).error == (613, None)
    assert (await graph.get("me")).status == 200
    assert (await graph.conversations(platform="instagram")).status == 200
    other = graph.sim.tokens.of_page[second]
    assert (await graph.get(f"{second}/conversations", access_token=other)).status == 200


async def test_a_batch_spends_a_call_for_each_of_its_items(reader):
    graph = await reader(conversations=2, modes=Modes(page_calls_per_second=2))
    items = [{"method": "GET", "relative_url": f"{graph.page}/conversations"}] * 3
    reply = await graph.batch(items)
    assert [item["code"] for item in reply.data] == [200, 200, 400]
    assert json.loads(reply.data[2]["body"])["error"]["code"] == 613


async def test_usage_climbs_to_the_budget_and_calls_beyond_it_are_refused(reader):
    graph = await reader(modes=Modes(messenger_budget=4))
    climbed = [usage(await graph.get("me"), graph.page)["call_count"] for _ in range(4)]
    assert climbed == [25, 50, 75, 100]
    refused = await graph.get("me")
    assert refused.error == (80006, None)
    told = usage(refused, graph.page)
    assert told["call_count"] == 125
    assert told["type"] == "messenger"
    assert told["estimated_time_to_regain_access"] == 60
    assert set(told) == {
        "type", "call_count", "total_cputime", "total_time", "estimated_time_to_regain_access",
    }  # fmt: skip


async def test_one_pages_budget_is_not_anothers(reader):
    graph = await reader(pages=2, modes=Modes(messenger_budget=1))
    other = list(graph.sim.tokens.of_page.values())[1]
    assert (await graph.get("me")).status == 200
    assert (await graph.get("me")).error == (80006, None)
    assert (await graph.get("me", access_token=other)).status == 200


async def test_the_apps_limit_stops_every_page(reader):
    graph = await reader(pages=2, modes=Modes(app_budget=2))
    other = list(graph.sim.tokens.of_page.values())[1]
    first = await graph.get("me")
    assert json.loads(first.headers["X-App-Usage"])["call_count"] == 50
    await graph.get("me")
    refused = await graph.get("me", access_token=other)
    assert refused.status == 403
    assert refused.error == (4, None)
    assert refused.data["error"]["is_transient"] is True
    assert json.loads(refused.headers["X-App-Usage"])["call_count"] == 150


def test_calls_while_limited_put_off_the_end():
    clock = Hands()
    limits = Limits(Modes(messenger_budget=2, budget_window=60), clock, clock)

    def refused():
        try:
            limits.admit("1")
        except GraphError:
            return True
        return False

    assert [refused() for _ in range(3)] == [False, False, True]
    clock.now += 30
    assert refused()
    clock.now += 31
    assert not refused()
    assert refused()
    clock.now += 61
    assert not refused()


async def test_a_budget_comes_back_on_the_accelerated_clock(reader):
    graph = await reader(clock_speed=36_000, modes=Modes(messenger_budget=1))
    assert (await graph.get("me")).status == 200
    # An hour of silence: a call in it would be counted, and put the end off.
    await graph.sim.clock.wait(3601)
    assert (await graph.get("me")).status == 200


async def test_asking_for_too_much_is_refused_until_it_is_less(reader):
    graph = await reader(conversations=4, modes=Modes(max_cost=50))
    fields = "messages.limit(25){id}"
    refused = await graph.conversations(limit=3, fields=fields)
    assert refused.status == 500
    assert refused.error == (1, None)
    assert "reduce the amount of data" in refused.data["error"]["message"]
    assert (await graph.conversations(limit=2, fields=fields)).status == 200
    assert (await graph.conversations(limit=50, fields="id")).status == 200


@pytest.mark.parametrize("latency", [0.15])
async def test_every_request_takes_its_latency_and_a_batch_takes_it_once(reader, latency):
    graph = await reader(conversations=2, modes=Modes(latency=latency))
    items = [{"method": "GET", "relative_url": f"{graph.page}/conversations"}] * 10
    await graph.batch(items)
    batch = next(c for c in graph.sim.calls.list() if c.item is None)
    assert latency * 1000 <= batch.milliseconds < 3 * latency * 1000
