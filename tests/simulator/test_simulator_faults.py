"""What goes wrong on request goes wrong for whom, where and as often as was asked."""

import asyncio
import json

import aiohttp
import pytest

from deploy.simulator import Fault
from deploy.simulator.errors import FAILURES


@pytest.mark.parametrize("name", FAILURES)
async def test_every_error_has_facebooks_code_subcode_and_status(reader, name):
    graph = await reader()
    graph.sim.faults.add(Fault(kind="error", error=name))
    reply = await graph.get("me")
    failure = FAILURES[name]
    assert reply.status == failure.http
    assert reply.error == (failure.code, failure.subcode)
    assert reply.data["error"].get("is_transient") == failure.transient


async def test_a_fault_strikes_its_page_and_path_so_often_and_then_no_more(reader):
    graph = await reader(pages=2, conversations=1)
    other = list(graph.sim.tokens.of_page.values())[1]
    graph.sim.faults.add(
        Fault(kind="error", error="2", page=graph.page, path="/conversations$", count=2, skip=1)
    )
    assert (await graph.get("me/conversations", access_token=other)).status == 200
    assert (await graph.get("me")).status == 200
    codes = [(await graph.conversations()).status for _ in range(4)]
    assert codes == [200, 500, 500, 200]
    assert graph.sim.faults.active == []


async def test_a_fault_by_chance_strikes_now_and_then(reader):
    graph = await reader()
    graph.sim.faults.add(Fault(kind="error", error="1", probability=0.5))
    statuses = {(await graph.get("me")).status for _ in range(30)}
    assert statuses == {200, 500}


async def test_code_2_can_be_transient_or_for_good(reader):
    graph = await reader()
    graph.sim.faults.add(Fault(kind="error", error="2", count=1))
    graph.sim.faults.add(Fault(kind="error", error="2/2018344", path="custom_labels"))
    assert (await graph.get("me")).data["error"]["is_transient"] is True
    told = (await graph.get("me/custom_labels")).data["error"]
    assert told["is_transient"] is False
    assert told["error_user_title"] == "Privacy ToS not accepted"


async def test_dead_tokens_give_their_subcode_until_there_is_a_new_one(reader):
    graph = await reader()
    old = graph.token
    for subcode in (460, 463, 492):
        await graph.control("POST", f"pages/{graph.page}/token", {"dead": subcode})
        assert (await graph.get("me")).error == (190, subcode)
    told = (await graph.control("POST", f"pages/{graph.page}/token", {"renew": True})).data
    assert told["token"] != old
    assert (await graph.get("me", access_token=told["token"])).status == 200
    assert (await graph.get("me", access_token=old)).error == (190, 492)


async def test_a_slow_answer_comes_late(reader):
    graph = await reader()
    graph.sim.faults.add(Fault(kind="slow", seconds=0.2, count=1))
    before = asyncio.get_running_loop().time()
    assert (await graph.get("me")).status == 200
    assert asyncio.get_running_loop().time() - before >= 0.2


async def test_a_reset_breaks_off_in_the_middle_of_the_reply(reader):
    graph = await reader(conversations=3)
    graph.sim.faults.add(Fault(kind="reset", count=1))
    with pytest.raises(aiohttp.ClientError):
        await graph.conversations()
    assert (await graph.conversations()).status == 200


async def test_facebooks_edge_can_answer_html_or_nonsense(reader):
    graph = await reader()
    graph.sim.faults.add(Fault(kind="html503", count=1))
    graph.sim.faults.add(Fault(kind="unavailable200", count=1))
    html = await graph.get("me")
    assert (html.status, html.headers["Content-Type"][:9]) == (503, "text/html")
    nonsense = await graph.get("me")
    assert (nonsense.status, nonsense.data) == (200, "Service Unavailable")
    assert (await graph.get("me")).data["id"] == graph.page


async def test_a_short_slice_is_not_the_end(reader):
    graph = await reader(conversations=8)
    graph.sim.faults.add(Fault(kind="short", path="/conversations"))
    first = (await graph.conversations(limit=8)).data
    assert len(first["data"]) == 4
    assert "next" in first["paging"]
    assert len(await graph.walk("me/conversations", limit=8)) == 8


async def test_headers_can_be_added_to_any_answer(reader):
    graph = await reader()
    usage = json.dumps({"call_count": 85, "total_cputime": 56, "total_time": 60})
    graph.sim.faults.add(Fault(kind="headers", headers={"X-Page-Usage": usage}, count=1))
    assert (await graph.get("me")).headers["X-Page-Usage"] == usage
    assert "X-Page-Usage" not in (await graph.get("me")).headers


async def test_faults_are_switched_over_http(reader):
    graph = await reader()
    fault = {"kind": "error", "error": "200", "page": graph.page, "path": "^/me$"}
    assert (await graph.control("POST", "faults", fault)).status == 200
    assert (await graph.get("me")).error == (200, None)
    assert len((await graph.control("GET", "faults")).data) == 1
    await graph.control("DELETE", "faults")
    assert (await graph.get("me")).status == 200


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"kind": "earthquake"}, "earthquake"),
        ({"kind": "error"}, "names the error"),
        ({"kind": "error", "error": "7"}, "there are 1, 1/99"),
        ({"kind": "slow", "path": "("}, "regular expression"),
        ({"kind": "slow", "colour": "red"}, "colour"),
        ({"kind": "null", "count": 0}, ">= 1"),
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused_with_the_reason(reader, fault, reason):
    graph = await reader()
    reply = await graph.control("POST", "faults", fault)
    assert reply.status == 400
    assert reason in reply.data["error"]
