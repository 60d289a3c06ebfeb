"""The controls tell the truth and change what they say."""

import asyncio
import json
import os
import signal
import sys
import time
from email.utils import parsedate_to_datetime


async def test_setup_tells_all_one_needs_to_connect(reader):
    graph = await reader(pages=3, conversations=2, instagram=1)
    told = (await graph.control("GET", "setup")).data
    assert [page["id"] for page in told["pages"]] == list(graph.sim.truth.pages)
    for page in told["pages"]:
        assert page["token"].startswith("EAA")
        reply = await graph.get(page["id"], access_token=page["token"])
        assert reply.data["id"] == page["id"]
        assert page["conversations"] == 3
        assert page["instagramId"].startswith("1784140")


async def test_the_truth_tells_final_texts_reactions_and_watermarks(reader):
    graph = await reader(conversations=1, messages=2)
    for act in ("message", "edit", "react", "echo", "read", "deliver", "unsend"):
        graph.sim.happen(graph.page, act, text="new" if act in {"message", "edit"} else None)
    told = (await graph.control("GET", f"truth/{graph.page}")).data
    (conversation,) = told["conversations"]
    *_, message, echo = conversation["messages"]
    assert message["text"] == "new"
    assert message["numEdit"] == 1
    assert message["direction"] == "in"
    assert list(message["reactions"]) == [conversation["participantId"]]
    assert echo["deletedMs"] is not None
    assert echo["text"] is None
    assert conversation["readWatermarkMs"] == echo["sentMs"]
    assert conversation["deliveredWatermarkMs"] == echo["sentMs"]
    summary = (await graph.control("GET", "truth")).data
    assert summary[graph.page][0]["messageCount"] == 4
    assert "messages" not in summary[graph.page][0]


async def test_something_can_be_made_to_happen_with_or_without_a_webhook(reader, receiver):
    graph = await reader(conversations=100, messages=2, webhook_url=receiver.url)
    body = {"page": graph.page, "conversations": 10, "webhook": False}
    silent = (await graph.control("POST", "happen", body)).data
    assert len(set(silent["mids"])) == 10
    threads = {graph.sim.truth.messages[mid].conversation.thread for mid in silent["mids"]}
    newest = await graph.conversations(limit=10)
    assert {row["id"] for row in newest.data["data"]} == threads
    told = (await graph.control("POST", "happen", {**body, "webhook": True, "together": True})).data
    await graph.sim.webhooks.settle()
    assert [item["message"]["mid"] for item in receiver.items] == told["mids"]
    sent = (await graph.control("GET", "webhooks/sent")).data
    assert set(sent) == set(told["mids"])
    assert all(abs(at - time.time()) < 10 for at in sent.values())
    summary = (await graph.control("GET", "webhooks")).data["summary"]
    assert summary["attempts"] == 1
    assert summary["statuses"] == {"200": 1}
    assert 0 < summary["p50"] <= summary["p99"] <= summary["max"]


async def test_calls_are_recorded_without_tokens_and_can_be_counted(reader):
    graph = await reader(conversations=2)
    await graph.conversations(limit=1)
    await graph.get("v26.0/me/conversations")
    await graph.get("m_404")
    told = (await graph.control("GET", "calls?path=/conversations$")).data
    assert (told["count"], told["requests"]) == (2, 2)
    assert told["calls"][0]["parameters"] == {"limit": "1"}
    assert graph.token not in json.dumps(told)
    assert (await graph.control("GET", "calls?code=100")).data["count"] == 1
    await graph.control("DELETE", "calls")
    assert (await graph.control("GET", "calls")).data["count"] == 0


async def test_modes_change_one_by_one_and_never_halfway(reader):
    graph = await reader(conversations=2)
    reply = await graph.control("PATCH", "modes", {"since": "honour", "events_per_second": 5})
    assert reply.data["since"] == "honour"
    assert graph.sim.modes.events_per_second == 5
    wrong = await graph.control("PATCH", "modes", {"since": "ignore", "drop": 2})
    assert wrong.status == 400
    assert "drop" in wrong.data["error"]
    assert graph.sim.modes.since == "honour"


async def test_requests_that_make_no_sense_are_refused_with_the_reason(reader):
    graph = await reader()
    for method, path, body, reason in (
        ("POST", "happen", {"page": "1"}, "there is no Page 1"),
        ("POST", "happen", {"page": graph.page, "conversations": ["t_1"]}, "no conversation t_1"),
        ("POST", "happen", {"page": graph.page, "conversations": 99}, "has 20 conversations"),
        ("POST", "happen", {"page": graph.page, "act": "dance"}, "dance"),
        ("POST", "move", {"page": graph.page, "conversation": "t_1", "folder": "x"}, "no folder x"),
        ("GET", "truth/1", None, "there is no Page 1"),
        ("GET", "calls?path=(", None, "expression"),
        ("GET", "calls?limit=x", None, "limit"),
        ("POST", "webhooks/post", {"odd": "feed"}, "no webhook URL"),
    ):
        reply = await graph.control(method, path, body)
        assert reply.status == 400, path
        assert reason in reply.data["error"]


async def test_the_index_says_what_each_endpoint_does(reader):
    graph = await reader()
    told = (await graph.control("GET", "")).data
    assert "POST /_simulator/happen" in told
    assert all(told.values())


async def test_accounts_go_past_twenty_five_pages(reader):
    graph = await reader(pages=27, conversations=0)
    user = {"access_token": graph.sim.tokens.user}
    first = (await graph.get("v26.0/me/accounts", summary="1", **user)).data
    assert len(first["data"]) == 25
    assert first["summary"] == {"total_count": 27}
    assert "MESSAGING" in first["data"][0]["tasks"]
    rest = (await graph.get(first["paging"]["next"])).data
    assert len(rest["data"]) == 2
    assert "next" not in rest["paging"]
    token = first["data"][0]["access_token"]
    assert token == graph.token
    page = (await graph.get(graph.page, fields="access_token", **user)).data
    assert page["access_token"] == token


async def test_tokens_can_be_looked_at_and_exchanged(reader):
    graph = await reader()
    app = {"access_token": graph.sim.tokens.app}
    told = (await graph.get("debug_token", input_token=graph.token, **app)).data["data"]
    assert told["is_valid"] is True
    assert told["type"] == "PAGE"
    assert told["granular_scopes"][0]["target_ids"] == [graph.page]
    graph.sim.tokens.kill(graph.sim.truth.page(graph.page), 460)
    dead = await graph.get("debug_token", input_token=graph.token, **app)
    assert dead.status == 200
    assert dead.data["data"]["is_valid"] is False
    assert dead.data["data"]["error"]["subcode"] == 460
    wanted = {
        "grant_type": "fb_exchange_token",
        "client_id": graph.sim.config.app_id,
        "client_secret": graph.sim.config.app_secret,
        "fb_exchange_token": graph.sim.tokens.user,
        "access_token": None,
    }
    exchanged = await graph.get("oauth/access_token", **wanted)
    refused = await graph.get("oauth/access_token", **wanted | {"client_secret": "guessed"})
    assert refused.error == (100, None)
    user = {"access_token": exchanged.data["access_token"]}
    assert len((await graph.get("me/accounts", **user)).data["data"]) == 1


async def test_people_have_profiles_in_the_fields_of_their_platform(reader):
    graph = await reader(conversations=3, instagram=1)
    people = list(graph.sim.truth.people.values())
    person = next(p for p in people if p.platform == "messenger" and p.name)
    shown = (await graph.get(person.id)).data
    assert f"{shown['first_name']} {shown['last_name']}" == person.name
    assert person.id in shown["profile_pic"]
    instagrammer = next(p for p in people if p.platform == "instagram")
    shown = (await graph.get(instagrammer.id, fields="username,follower_count")).data
    assert shown["username"] == instagrammer.username
    refused = await graph.get(instagrammer.id, fields="first_name")
    assert refused.error == (100, None)


async def test_times_can_run_ahead_of_this_machine(reader):
    graph = await reader(conversations=1, clock_skew=3600)
    (update,) = graph.sim.happen(graph.page)
    sent = graph.sim.truth.messages[update.mid].sent_ms / 1000
    told = parsedate_to_datetime((await graph.get("me")).headers["Date"]).timestamp()
    for ahead in (sent, told):
        assert 3590 < ahead - time.time() < 3610


async def test_the_command_says_when_it_is_ready_and_stops_when_told():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.simulator", "--pages", "2", "--events-per-second", "50",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": ""},
    )  # fmt: skip
    try:
        assert process.stdout
        ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
        assert ready["control"] == ready["ready"] + "/_simulator/"
        process.send_signal(signal.SIGTERM)
        rest, errors = await asyncio.wait_for(process.communicate(), 10)
    finally:
        if process.returncode is None:
            process.kill()
    assert (process.returncode, rest, errors) == (0, b"", b"")


async def test_the_command_explains_what_it_cannot_do(reader):
    taken = await reader()
    port = taken.sim.url.rpartition(":")[2]
    for arguments, code, reason in (
        (("--pages", "many"), 2, b"pages"),
        (("--since", "never"), 2, b"--since"),
        (("--drop", "3"), 2, b"drop"),
        (("--port", port), 1, f"Cannot listen on 127.0.0.1 port {port}".encode()),
    ):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "deploy.simulator", *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, errors = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == code
        assert reason in errors
        assert b"Traceback" not in errors
