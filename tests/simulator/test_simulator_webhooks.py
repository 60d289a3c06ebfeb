"""What happens is told by webhook as Facebook tells it, and agrees with what Graph serves."""

import hashlib
import hmac
import json
import re

import pytest

from deploy.simulator import Modes, media, wire
from deploy.simulator.webhooks import retries


@pytest.fixture
async def graph(reader, receiver):
    """A simulator that sends to the receiver, its hours a tenth of a second long."""
    return await reader(
        pages=2, conversations=5, instagram=3, webhook_url=receiver.url, clock_speed=36_000
    )


def kinds(items):
    return [next(iter(item.keys() - {"sender", "recipient", "timestamp"})) for item in items]


async def test_a_body_is_signed_over_the_bytes_that_are_sent(graph, receiver):
    graph.sim.happen(graph.page, text='äöå https://x.y 😢 "quoted"')
    await graph.sim.webhooks.settle()
    (body,), (headers,) = receiver.bodies, receiver.headers
    key = graph.sim.config.app_secret.encode()
    assert (
        headers["X-Hub-Signature-256"]
        == "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()
    )
    assert headers["X-Hub-Signature"] == "sha1=" + hmac.new(key, body, hashlib.sha1).hexdigest()
    assert headers["User-Agent"] == "facebookexternalua"
    assert headers["Content-Type"] == "application/json"
    assert b'"text":"\\u00e4\\u00f6\\u00e5 https:\\/\\/x.y \\ud83d\\ude22 \\"quoted\\""' in body
    assert b" " not in body.replace(b" https", b"").replace(b" \\", b"")
    assert body.isascii()


async def test_what_is_sent_is_what_graph_serves(graph, receiver):
    for platform in ("messenger", "instagram"):
        for act in ("message", "echo"):
            graph.sim.happen(graph.page, act, conversations=3, platform=platform, count=10)
    await graph.sim.webhooks.settle()
    assert len(receiver.items) == 120
    graph.sim.modes.twenty_messages = "off"
    fields = "id,created_time,message,from{id},to{id},attachments,reply_to,sticker,shares{link}"
    for item in receiver.items:
        sent = item["message"]
        shown = (await graph.get(sent["mid"], fields=fields)).data
        assert shown["message"] == sent.get("text", "")
        assert shown["from"]["id"] == item["sender"]["id"]
        assert shown["to"]["data"][0]["id"] == item["recipient"]["id"]
        assert (shown.get("reply_to") or {}).get("mid") == sent.get("reply_to", {}).get("mid")
        message = graph.sim.truth.messages[sent["mid"]]
        assert message.sent_ms == item["timestamp"]
        assert len(sent.get("attachments", [])) == len(message.attachments)
        for told, file in zip(sent.get("attachments", []), message.attachments, strict=True):
            if file.mime_type:
                assert file.asset in told["payload"]["url"]
                assert file.asset in {row["id"] for row in shown["attachments"]["data"]}


async def test_each_act_is_told_in_its_own_shape(graph, receiver):
    conversation = next(iter(graph.sim.truth.page(graph.page).conversations()))
    acts = {
        "message": "message", "edit": "message_edit", "react": "reaction", "unreact": "reaction",
        "echo": "message", "read": "read", "deliver": "delivery", "unsend": "message",
        "postback": "postback", "start": "message",
    }  # fmt: skip
    for act in acts:
        graph.sim.happen(graph.page, act, conversations=[conversation.thread])
        await graph.sim.webhooks.settle()
    assert kinds(receiver.items) == list(acts.values())
    items = dict(zip(acts, receiver.items, strict=True))
    person, page = conversation.person.id, graph.page
    assert items["echo"]["sender"]["id"] == page
    assert items["echo"]["message"]["is_echo"] is True
    assert items["read"]["sender"]["id"] == person
    assert "timestamp" not in items["deliver"]
    assert items["deliver"]["delivery"]["mids"] == [items["echo"]["message"]["mid"]]
    assert items["unsend"]["message"] == {
        "mid": items["echo"]["message"]["mid"], "is_deleted": True, "is_echo": True,
    }  # fmt: skip
    assert "emoji" not in items["unreact"]["reaction"]
    assert items["edit"]["message_edit"]["num_edit"] == 1


async def test_no_two_things_happen_in_a_conversation_at_the_same_time(graph, receiver):
    threads = [next(iter(graph.sim.truth.page(graph.page).conversations())).thread]
    for act in ("react", "unreact", "read", "message", "edit") * 4:
        graph.sim.happen(graph.page, act, conversations=threads)
    await graph.sim.webhooks.settle()
    times = [item["timestamp"] for item in receiver.items]
    assert len(set(times)) == len(times) == 20


async def test_media_are_signed_anew_each_hour_at_the_same_place(graph):
    hour_ms = 3_600_000
    for message in graph.sim.truth.messages.values():
        for file in message.attachments:
            now, later = (
                media.url(message.conversation, file, at_ms) for at_ms in (hour_ms, 2 * hour_ms)
            )
            signed = file.kind not in {"sticker", "fallback"}
            assert (now != later) is signed
            assert now.partition("?")[0] == later.partition("?")[0]


async def test_instagram_has_its_own_object_and_reads_by_message(graph, receiver):
    threads = [(await graph.conversations(platform="instagram")).data["data"][0]["id"]]
    for act in ("echo", "read"):
        graph.sim.happen(graph.page, act, conversations=threads)
    await graph.sim.webhooks.settle()
    bodies = [json.loads(body) for body in receiver.bodies]
    account = graph.sim.truth.page(graph.page).instagram_id
    assert {body["object"] for body in bodies} == {"instagram"}
    assert {body["entry"][0]["id"] for body in bodies} == {account}
    by_kind = {kinds([item])[0]: item for item in receiver.items}
    assert by_kind["read"]["read"]["mid"] == by_kind["message"]["message"]["mid"]


async def test_labels_are_changes_with_their_time_in_seconds(graph, receiver):
    label = (await graph.get("me/custom_labels", fields="page_label_name")).data["data"][0]
    person = next(iter(graph.sim.truth.people.values()))
    person.labels.clear()
    await graph.ask("POST", f"{label['id']}/label", user=person.id)
    labels = await graph.get(f"{person.id}/custom_labels", fields="page_label_name")
    assert labels.data["data"] == [label]
    await graph.ask("DELETE", f"{label['id']}/label", user=person.id)
    assert (await graph.get(f"{person.id}/custom_labels")).data == {"data": []}
    await graph.sim.webhooks.settle()
    assert [change["value"]["action"] for change in receiver.items] == ["add", "remove"]
    value = receiver.items[0]["value"]
    assert value["user"]["id"] == person.id
    assert value["label"] == {"id": label["id"], "page_label_name": label["page_label_name"]}
    entry = json.loads(receiver.bodies[0])["entry"][0]
    assert entry["time"] < 10**11


async def test_one_post_can_carry_several_pages(graph, receiver):
    updates = [
        update
        for page in graph.sim.truth.pages
        for update in graph.sim.happen(page, conversations=2, webhook=False)
    ]
    graph.sim.webhooks.send(updates)
    await graph.sim.webhooks.settle()
    (body,) = receiver.bodies
    entries = json.loads(body)["entry"]
    assert [entry["id"] for entry in entries] == list(graph.sim.truth.pages)
    assert [len(entry["messaging"]) for entry in entries] == [2, 2]


async def test_a_failed_delivery_is_retried_with_its_entries_stamped_anew(graph, receiver):
    receiver.status = 500
    graph.sim.happen(graph.page)
    await receiver.until(lambda: len(receiver.bodies) >= 3)
    receiver.status = 200
    await graph.sim.webhooks.settle()
    times = {json.loads(body)["entry"][0]["time"] for body in receiver.bodies}
    items = [json.dumps(item) for item in receiver.items]
    assert len(set(items)) == 1
    assert len(times) > 1
    ledger = list(graph.sim.webhooks.ledger)
    assert [attempt.status for attempt in ledger][-1] == 200
    assert {attempt.delivery for attempt in ledger} == {1}
    assert [attempt.attempt for attempt in ledger] == list(range(1, len(ledger) + 1))


def test_retries_come_as_facebook_describes_them():
    waits = list(retries(keep=False))
    assert waits[:9] == [0, 1, 2, 5, 15, 30, 60, 120, 300]
    assert sum(waits) >= 3600
    assert sum(retries(keep=True)) >= 36 * 3600


async def test_after_an_hour_of_failures_the_page_is_unsubscribed_until_it_subscribes_again(
    graph, receiver
):
    receiver.status = 404
    graph.sim.happen(graph.page)
    await receiver.until(lambda: graph.sim.webhooks.pending == 0)
    assert (await graph.get("me/subscribed_apps")).data == {"data": []}
    assert [alert.kind for alert in graph.sim.webhooks.alerts] == [
        "undeliverable", "webhooks_disabled",
    ]  # fmt: skip
    receiver.status = 200
    seen = len(receiver.bodies)
    (missed,) = graph.sim.happen(graph.page)
    other = list(graph.sim.truth.pages)[1]
    graph.sim.happen(other)
    await graph.sim.webhooks.settle()
    assert len(receiver.bodies) == seen + 1
    truth = (await graph.control("GET", f"truth/{graph.page}")).data
    assert truth["unsentMids"] == [missed.mid]
    await graph.ask("POST", "me/subscribed_apps", subscribed_fields="messages")
    graph.sim.happen(graph.page)
    await graph.sim.webhooks.settle()
    assert len(receiver.bodies) == seen + 2


async def test_in_36_hour_mode_nobody_is_unsubscribed(graph, receiver):
    graph.sim.modes.keep_retrying = True
    receiver.status = 503
    graph.sim.happen(graph.page)
    hour_ms = 3600 * 1000 / graph.sim.config.clock_speed
    began = graph.sim.clock.now_ms()
    await receiver.until(lambda: graph.sim.clock.now_ms() > began + 1.5 * hour_ms)
    assert graph.sim.truth.page(graph.page).subscribed_fields
    receiver.status = 200
    await graph.sim.webhooks.settle()


async def test_only_subscribed_fields_are_sent(graph, receiver):
    await graph.ask("POST", "me/subscribed_apps", subscribed_fields="messages,message_reads")
    for act in ("message", "echo", "edit", "read"):
        graph.sim.happen(graph.page, act)
    await graph.sim.webhooks.settle()
    assert sorted(kinds(receiver.items)) == ["message", "read"]


async def test_a_share_of_updates_can_be_lost(graph, receiver):
    graph.sim.modes.drop = 0.5
    graph.sim.happen(graph.page, count=40)
    await graph.sim.webhooks.settle()
    lost = {update.mid for update in graph.sim.webhooks.unsent}
    assert 5 < len(lost) < 35
    assert {item["message"]["mid"] for item in receiver.items}.isdisjoint(lost)
    assert len(receiver.items) + len(lost) == 40


async def test_a_body_can_come_twice_and_late(graph, receiver):
    graph.sim.modes.duplicate = 1
    graph.sim.happen(graph.page)
    await graph.sim.webhooks.settle()
    assert len(receiver.bodies) == 2
    assert len(set(receiver.bodies)) == 1
    graph.sim.modes.duplicate = 0
    graph.sim.modes.delay, graph.sim.modes.delay_seconds = 0.5, 0.2
    updates = graph.sim.happen(graph.page, count=20)
    await graph.sim.webhooks.settle()
    order = [item["message"]["mid"] for item in receiver.items[2:]]
    assert sorted(order) == sorted(update.mid for update in updates)
    assert order != [update.mid for update in updates]


async def test_edits_can_arrive_out_of_order(graph, receiver):
    graph.sim.modes.reorder = 1
    graph.sim.happen(graph.page, text="zero")
    graph.sim.happen(graph.page, "edit", count=5, together=True)
    await graph.sim.webhooks.settle()
    edits = [item["message_edit"] for item in receiver.items if "message_edit" in item]
    numbers = [edit["num_edit"] for edit in edits]
    assert sorted(numbers) == [1, 2, 3, 4, 5]
    assert numbers != sorted(numbers)
    last = max(edits, key=lambda edit: edit["num_edit"])
    assert (await graph.get(last["mid"], fields="message")).data["message"] == last["text"]


async def test_another_apps_thread_comes_as_standby(graph, receiver):
    graph.sim.modes.standby = 1
    for act in ("message", "echo", "postback", "react"):
        graph.sim.happen(graph.page, act)
        await graph.sim.webhooks.settle()
    channels = [set(json.loads(body)["entry"][0]) - {"id", "time"} for body in receiver.bodies]
    assert channels == [{"standby"}, {"standby"}, {"standby"}, {"messaging"}]
    message, echo, postback, _ = receiver.items
    assert message["message"]["mid"].startswith("m_")
    assert "m_" + echo["message"]["mid"] in graph.sim.truth.messages
    assert "payload" not in postback["postback"]


async def test_a_late_answer_brings_the_same_event_again(graph, receiver):
    graph.sim.modes.webhook_timeout = 0.05
    receiver.delay = 0.2
    graph.sim.happen(graph.page)
    await receiver.until(lambda: receiver.bodies)
    receiver.delay = 0
    await graph.sim.webhooks.settle()
    assert len(receiver.bodies) >= 2
    assert graph.sim.webhooks.ledger[0].error == "timeout"


async def test_the_handshake_is_asked_before_an_address_is_taken(reader, receiver):
    graph = await reader()
    app = {"access_token": graph.sim.tokens.app}
    path = f"v26.0/{graph.sim.config.app_id}/subscriptions"
    wanted = {"object": "page", "callback_url": receiver.url, "fields": "messages"}
    refused = await graph.ask("POST", path, **app, **wanted, verify_token="wrong")
    assert refused.error == (2200, None)
    assert "HTTP Status Code = 403; HTTP Message = Forbidden" in refused.data["error"]["message"]
    taken = await graph.ask("POST", path, **app, **wanted, verify_token=receiver.verify_token)
    assert taken.data == {"success": True}
    (listed,) = (await graph.get(path, **app)).data["data"]
    assert listed["callback_url"] == receiver.url
    assert listed["fields"] == [{"name": "messages", "version": "v26.0"}]
    graph.sim.happen(graph.page)
    await graph.sim.webhooks.settle()
    assert len(receiver.bodies) == 1
    await graph.ask("DELETE", path, **app, object="page")
    assert (await graph.get(path, **app)).data == {"data": []}


async def test_a_page_subscription_can_be_read_replaced_and_ended(reader):
    graph = await reader()
    first = (await graph.get("me/subscribed_apps")).data["data"][0]
    assert first["id"] == graph.sim.config.app_id
    assert "message_echoes" in first["subscribed_fields"]
    fields = '["messages","messaging_postbacks"]'
    await graph.ask("POST", "me/subscribed_apps", subscribed_fields=fields)
    (app,) = (await graph.get("me/subscribed_apps")).data["data"]
    assert app["subscribed_fields"] == ["messages", "messaging_postbacks"]
    wrong = await graph.ask("POST", "me/subscribed_apps", subscribed_fields="messages,telepathy")
    assert "subscribed_fields[1] must be one of" in wrong.data["error"]["message"]
    assert (await graph.ask("DELETE", "me/subscribed_apps")).data == {"success": True}
    assert (await graph.get("me/subscribed_apps")).data == {"data": []}


@pytest.mark.parametrize("how", ["right", "wrong", "missing", "sha1", "upper", "reserialised"])
async def test_bodies_can_be_signed_wrongly(graph, receiver, how):
    body = {"object": "page", "entry": [{"id": "1", "time": 1, "messaging": [], "x": "é/"}]}
    await graph.control("POST", "webhooks/post", {"body": body, "signature": how})
    (sent,), (headers,) = receiver.bodies, receiver.headers
    right = wire.sign(sent, graph.sim.config.app_secret)["X-Hub-Signature-256"]
    assert json.loads(sent) == body
    assert (headers.get("X-Hub-Signature-256") == right) is (how == "right")


async def test_odd_and_large_bodies_can_be_posted(graph, receiver):
    for odd in ("empty_entry", "dashboard_test", "unknown_key", "changed_fields", "no_value"):
        reply = await graph.control("POST", "webhooks/post", {"odd": odd})
        assert reply.data["status"] == 200
    padded = await graph.control("POST", "webhooks/post", {"odd": "feed", "pad": 4_000_000})
    assert padded.data["bytes"] == 4_000_000
    assert len(receiver.bodies[-1]) == 4_000_000
    raw = await graph.control("POST", "webhooks/post", {"text": '{"object":'})
    assert raw.data["status"] == 200
    assert receiver.bodies[-1] == b'{"object":'
    unknown = await graph.control("POST", "webhooks/post", {"odd": "even"})
    assert "dashboard_test" in unknown.data["error"]


async def test_live_traffic_keeps_its_rate_and_batches(reader, receiver):
    graph = await reader(
        conversations=5,
        instagram=2,
        webhook_url=receiver.url,
        modes=Modes(events_per_second=400, events_per_post=20),
    )
    clock = graph.sim.clock
    began = clock.now_ms()
    await receiver.until(lambda: len(receiver.items) >= 200)
    graph.sim.modes.events_per_second = 0
    took = (clock.now_ms() - began) / 1000
    assert 0.3 < took < 2
    assert len(receiver.bodies) < len(receiver.items) / 2
    assert len({re.sub(r"\d", "", kind) for kind in kinds(receiver.items)}) > 4
