"""The Batch API answers each call on its own."""

import hashlib
import hmac
import json

from deploy.simulator import Fault


def get(path, **more):
    return {"method": "GET", "relative_url": path, **more}


async def test_each_item_is_answered_in_order_with_its_own_status(reader):
    graph = await reader(conversations=1)
    reply = await graph.batch([get("me"), get("v26.0/m_404"), get("/me/conversations?limit=1")])
    assert reply.status == 200
    assert [item["code"] for item in reply.data] == [200, 400, 200]
    assert json.loads(reply.data[0]["body"])["id"] == graph.page
    assert json.loads(reply.data[1]["body"])["error"]["code"] == 100
    names = {header["name"].lower() for header in reply.data[0]["headers"]}
    assert {"content-type", "facebook-api-version"} <= names
    assert reply.headers["facebook-api-version"] == "v26.0"


async def test_each_item_may_have_its_own_token_and_proof(reader):
    graph = await reader(pages=3)
    graph.sim.modes.proof = "required"
    secret = graph.sim.config.app_secret.encode()
    items, proofs = [], {}
    for page, token in graph.sim.tokens.of_page.items():
        proofs[page] = hmac.new(secret, token.encode(), hashlib.sha256).hexdigest()
        items.append(get(f"me?access_token={token}&appsecret_proof={proofs[page]}"))
    stranger = items[1]["relative_url"].partition("&")[0]
    reply = await graph.batch([*items, get(stranger)], appsecret_proof=proofs[graph.page])
    pages = [json.loads(item["body"]).get("id") for item in reply.data]
    assert pages == [*graph.sim.tokens.of_page, None]
    assert reply.data[3]["code"] == 400
    assert "require an appsecret_proof" in reply.data[3]["body"]


async def test_one_dead_token_costs_the_other_items_nothing(reader):
    graph = await reader(pages=2)
    second = list(graph.sim.truth.pages.values())[1]
    graph.sim.tokens.kill(second, 460)
    reply = await graph.batch(
        [get("me"), get(f"me?access_token={graph.sim.tokens.of_page[second.id]}")]
    )
    assert [item["code"] for item in reply.data] == [200, 400]


async def test_a_batch_as_json_is_read_like_one_in_a_form(reader):
    graph = await reader()
    body = {"access_token": graph.token, "include_headers": True, "batch": [get("me?fields=id")]}
    async with graph.session.post(f"{graph.sim.url}/v26.0/", json=body) as reply:
        (item,) = json.loads(await reply.read())
    assert json.loads(item["body"]) == {"id": graph.page}


async def test_headers_can_be_left_out(reader):
    graph = await reader()
    reply = await graph.batch([get("me")], include_headers="false")
    assert set(reply.data[0]) == {"code", "body"}


async def test_null_stands_where_an_item_was_not_done(reader):
    graph = await reader()
    graph.sim.faults.add(Fault(kind="null", skip=1, count=1))
    reply = await graph.batch([get("me"), get("me"), get("me")])
    assert [item and item["code"] for item in reply.data] == [200, None, 200]
    assert (await graph.get("me")).status == 200


async def test_an_item_can_post_and_delete(reader):
    graph = await reader()
    body = {"method": "POST", "relative_url": "me/custom_labels", "body": "page_label_name=Urgent"}
    (created,) = (await graph.batch([body])).data
    label = json.loads(created["body"])["id"]
    (gone,) = (await graph.batch([{"method": "DELETE", "relative_url": label}])).data
    assert json.loads(gone["body"]) == {"success": True}


async def test_more_than_fifty_items_and_what_is_no_batch_fail_as_a_whole(reader):
    graph = await reader()
    reply = await graph.batch([get("me")] * 51)
    assert reply.status == 400
    assert "Maximum batch size is 50" in reply.data["error"]["message"]
    assert reply.data["error"]["type"] == "GraphBatchException"
    assert (await graph.batch(["me"])).error == (100, None)
    assert (await graph.batch([get("me")], access_token="EAAx")).error == (190, None)


async def test_a_batch_is_one_request_and_as_many_calls_as_it_has_items(reader):
    graph = await reader()
    await graph.batch([get("me")] * 4)
    assert graph.sim.calls.requests() == 1
    assert len(graph.sim.calls.list(path="^/me$")) == 4
    assert len(graph.sim.calls.list(path="^/$")) == 1
