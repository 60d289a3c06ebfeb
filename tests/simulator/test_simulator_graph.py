"""The Graph side serves the truth the way Facebook does."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from deploy.simulator import Config, Modes, Simulator, fields, ids
from deploy.simulator.errors import GraphError
from deploy.simulator.shapes import graph_time

EVERYTHING = (
    "id,updated_time,participants,unread_count,message_count,snippet,link,can_reply,folder,"
    "messages.limit(100){id,created_time,from,to,message,attachments,sticker,"
    "shares{link,name},tags,reply_to,reactions,story}"
)


async def test_a_walk_gives_every_conversation_once_and_newest_first(reader):
    graph = await reader(conversations=23)
    rows = await graph.walk(f"v26.0/{graph.page}/conversations", limit=5)
    times = [row["updated_time"] for row in rows]
    assert len({row["id"] for row in rows}) == 23
    assert times == sorted(times, reverse=True)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000", time) for time in times)


async def test_conversations_of_one_second_cannot_be_told_apart_by_time(reader):
    graph = await reader(conversations=23)
    rows = await graph.walk(f"{graph.page}/conversations", limit=5)
    assert len({row["updated_time"] for row in rows}) < len(rows)


async def test_before_leads_back_to_the_slice_one_came_from(reader):
    graph = await reader(conversations=9)
    first = (await graph.conversations(limit=3)).data
    second = (await graph.get(first["paging"]["next"])).data
    back = (await graph.get(second["paging"]["previous"])).data
    assert back["data"] == first["data"]
    assert "previous" not in first["paging"]
    assert "previous" not in back["paging"]


@pytest.mark.parametrize("platform", ["messenger", "instagram"])
async def test_nested_and_inner_slices_give_exactly_the_truth(reader, platform):
    graph = await reader(
        conversations=4, instagram=4, messages=30, modes=Modes(twenty_messages="off")
    )
    rows = await graph.walk(
        f"{graph.page}/conversations", platform=platform.title(), limit=2, fields=EVERYTHING
    )
    assert len(rows) == 4
    for row in rows:
        truth = graph.sim.truth.conversation(graph.page, row["id"])
        shown = row["messages"]["data"]
        assert [m["id"] for m in shown] == [m.mid for m in reversed(truth.messages)]
        assert [m["message"] for m in shown] == [m.text or "" for m in reversed(truth.messages)]
        assert [m["created_time"] for m in shown] == [
            graph_time(m.sent_ms) for m in reversed(truth.messages)
        ]
        for message, true in zip(shown, reversed(truth.messages), strict=True):
            account = truth.page.account(platform)
            sender = truth.person.id if true.inbound else account
            assert message["from"]["id"] == sender
            assert message.get("reply_to", {}).get("mid") == (
                true.reply_to.mid if true.reply_to else None
            )
            assert ("attachments" in message) == any(a.mime_type for a in true.attachments)
        inner = await graph.walk(f"{row['id']}/messages", limit=7, fields="id,message")
        assert [m["id"] for m in inner] == [m["id"] for m in shown]


async def test_following_next_verbatim_pages_through_messages(reader):
    graph = await reader(conversations=1, messages=12)
    thread = (await graph.conversations(fields="messages.limit(5){id,message}")).data["data"][0]
    seen, slice_ = [], thread["messages"]
    while True:
        seen += slice_["data"]
        if "next" not in slice_["paging"]:
            break
        assert slice_["paging"]["next"].startswith(
            f"{graph.sim.url}/v26.0/{thread['id']}/messages?"
        )
        slice_ = (await graph.get(slice_["paging"]["next"])).data
    assert len({message["id"] for message in seen}) == 12
    assert all("message" in message for message in seen)


async def test_next_carries_token_fields_and_pretty_and_the_callers_version(reader):
    graph = await reader(conversations=3)
    for version in ("v25.0/", ""):
        reply = await graph.get(
            f"{version}{graph.page}/conversations", limit=1, fields="id", platform="messenger"
        )
        url = urlsplit(reply.data["paging"]["next"])
        query = parse_qs(url.query)
        assert url.path == f"/{version}{graph.page}/conversations"
        assert query["access_token"] == [graph.token]
        assert query["pretty"] == ["0"]
        assert query["fields"] == ["id"]
        assert query["platform"] == ["messenger"]


async def test_what_is_empty_is_left_out(reader):
    graph = await reader(conversations=30, messages=6)
    rows = (await graph.conversations(limit=30, fields=EVERYTHING + ",former_participants")).data
    messages = [m for row in rows["data"] for m in row["messages"]["data"]]
    assert all(
        "unread_count" not in row and "former_participants" not in row for row in rows["data"]
    )
    assert any(m["message"] == "" and "attachments" in m for m in messages)
    assert any("attachments" not in m for m in messages)
    assert not any("reactions" in m or "story" in m for m in messages)
    firsts = {row["participants"]["data"][0]["id"] == graph.page for row in rows["data"]}
    assert firsts == {True, False}


async def test_unread_messages_are_counted_until_the_page_answers(reader):
    graph = await reader(conversations=1)
    graph.sim.happen(graph.page, count=2)
    assert (await graph.conversations(fields="unread_count")).data["data"][0]["unread_count"] == 2
    graph.sim.happen(graph.page, "echo")
    assert "unread_count" not in (await graph.conversations(fields="unread_count")).data["data"][0]


async def test_a_person_without_a_name_takes_part_without_one(reader):
    graph = await reader(conversations=200, messages=1)
    rows = await graph.walk(f"{graph.page}/conversations", limit=100, fields="participants")
    people = [p for row in rows for p in row["participants"]["data"] if p["id"] != graph.page]
    nameless = [p for p in people if "name" not in p]
    assert 0 < len(nameless) < 20
    assert (await graph.get(nameless[0]["id"])).error == (2018218, None)


async def test_a_conversation_that_is_written_to_jumps_to_the_front_of_a_walk(reader):
    graph = await reader(conversations=6)
    rows = await graph.walk(f"{graph.page}/conversations")
    first = (await graph.conversations(limit=2)).data
    graph.sim.happen(graph.page, conversations=[rows[4]["id"]])
    seen, slice_ = list(first["data"]), first
    while "next" in slice_["paging"]:
        slice_ = (await graph.get(slice_["paging"]["next"])).data
        seen += slice_["data"]
    assert [row["id"] for row in seen] == [row["id"] for row in rows if row is not rows[4]]
    assert (await graph.conversations(limit=1)).data["data"][0]["id"] == rows[4]["id"]


async def test_offset_cursors_make_a_walk_see_a_conversation_twice(reader):
    graph = await reader(conversations=6, modes=Modes(cursors="offset"))
    rows = await graph.walk(f"{graph.page}/conversations", limit=2)
    first = (await graph.conversations(limit=2)).data
    graph.sim.happen(graph.page, conversations=[rows[4]["id"]])
    second = (await graph.get(first["paging"]["next"])).data
    assert second["data"][0]["id"] == first["data"][1]["id"]
    assert len({row["id"] for row in rows}) == 6


async def test_folders_and_platforms_are_walked_apart(reader):
    graph = await reader(conversations=3, instagram=2, other_folders=1)
    inbox = (await graph.conversations()).data["data"]
    assert len(inbox) == 3
    for folder in ("page_done", "other", "pending", "spam"):
        (row,) = (await graph.conversations(folder=folder, fields="folder")).data["data"]
        assert row["folder"] == folder
        assert row["id"] not in {r["id"] for r in inbox}
    assert len((await graph.conversations(platform="INSTAGRAM")).data["data"]) == 2
    account = graph.sim.truth.page(graph.page).instagram_id
    assert len((await graph.get(f"{account}/conversations")).data["data"]) == 2
    assert (await graph.conversations(platform="telegram")).error == (100, None)
    assert (await graph.conversations(folder="attic")).error == (100, None)


async def test_a_moved_conversation_leaves_the_inbox(reader):
    graph = await reader(conversations=2)
    moved = (await graph.conversations()).data["data"][1]["id"]
    body = {"page": graph.page, "conversation": moved, "folder": "page_done"}
    assert (await graph.control("POST", "move", body)).status == 200
    assert moved not in {row["id"] for row in (await graph.conversations()).data["data"]}
    (row,) = (await graph.conversations(folder="page_done")).data["data"]
    assert row["id"] == moved


async def test_a_page_without_instagram_refuses_that_platform(reader):
    graph = await reader()
    assert (await graph.conversations(platform="instagram")).error == (100, 2534013)
    assert (await graph.get("me", fields="instagram_business_account")).data == {"id": graph.page}


async def test_the_conversation_with_a_person_can_be_asked_for(reader):
    graph = await reader(conversations=3)
    wanted = next(iter(graph.sim.truth.threads.values()))
    reply = await graph.conversations(user_id=wanted.person.id)
    assert reply.data["data"] == [{"id": wanted.thread}]
    assert (await graph.conversations(user_id="7")).data == {"data": []}


@pytest.mark.parametrize(
    ("mode", "found"), [("ignore", 3), ("honour", 2), ("exclusive", 1), ("refuse", None)]
)
async def test_since_does_what_its_mode_says(reader, mode, found):
    graph = await reader(conversations=3, modes=Modes(since=mode))
    updated = sorted(c.updated_ms // 1000 for c in graph.sim.truth.threads.values())
    reply = await graph.conversations(since=updated[1])
    if found is None:
        assert reply.error == (100, None)
    else:
        assert len(reply.data["data"]) == found


async def test_updated_after_ms_counts_only_where_it_exists(reader):
    graph = await reader(conversations=3)
    updated = sorted(c.updated_ms for c in graph.sim.truth.threads.values())
    path, middle = f"{graph.page}/conversations", updated[1]

    async def found(version, **parameters):
        return len((await graph.get(f"{version}/{path}", **parameters)).data["data"])

    assert await found("v26.0", updated_after_ms=middle) == 3
    graph.sim.modes.updated_after = "honour"
    assert await found("v26.0", updated_after_ms=middle) == 2
    assert await found("v26.0", updated_before_ms=middle) == 1
    assert await found("v25.0", updated_after_ms=middle) == 3


async def test_instagram_shows_the_content_of_the_twenty_newest_messages_only(reader):
    graph = await reader(conversations=0, instagram=1, messages=25)
    (row,) = (
        await graph.conversations(
            platform="instagram", fields="messages.limit(30){id,created_time,from,message}"
        )
    ).data["data"]
    messages = row["messages"]["data"]
    assert len(messages) == 25
    assert all("from" in m for m in messages[:20])
    assert all(set(m) == {"id", "created_time"} for m in messages[20:])
    assert (await graph.get(messages[19]["id"])).status == 200
    assert (await graph.get(messages[20]["id"])).error == (9000001, None)
    graph.sim.modes.twenty_messages = "off"
    assert (await graph.get(messages[20]["id"])).status == 200


async def test_a_message_taken_back_is_not_listed_and_not_shown(reader):
    graph = await reader(conversations=1, messages=3)
    newest = next(iter(graph.sim.truth.threads.values())).messages[-1]
    graph.sim.happen(graph.page, "unsend")
    listed = await graph.walk(f"{newest.conversation.thread}/messages")
    assert newest.mid not in {m["id"] for m in listed}
    assert len(listed) == 2
    assert (await graph.get(newest.mid)).error == (9000001, None)


async def test_edits_and_reactions_show_in_the_message(reader):
    graph = await reader(conversations=1)
    graph.sim.happen(graph.page, text="first")
    graph.sim.happen(graph.page, "edit", text="second")
    graph.sim.happen(graph.page, "react")
    message = next(iter(graph.sim.truth.threads.values())).messages[-1]
    shown = (await graph.get(message.mid, fields="message,reactions,from{id}")).data
    assert shown["message"] == "second"
    (reaction,) = shown["reactions"]["data"]
    assert reaction["users"][0]["id"] == message.conversation.person.id
    assert shown["from"] == {"id": message.conversation.person.id}
    graph.sim.happen(graph.page, "unreact")
    assert "reactions" not in (await graph.get(message.mid, fields="reactions")).data


async def test_attachments_have_a_next_that_leads_nowhere(reader):
    graph = await reader(conversations=10, messages=30)
    message = next(
        m
        for m in graph.sim.truth.messages.values()
        if len([a for a in m.attachments if a.mime_type]) == 1
    )
    shown = (await graph.get(message.mid, fields="attachments")).data["attachments"]
    assert shown["data"][0]["id"] == message.attachments[0].asset
    assert (await graph.get(shown["paging"]["next"])).data == {"data": []}


async def test_a_full_last_slice_can_lead_to_an_empty_one(reader):
    graph = await reader(conversations=4, modes=Modes(trailing_next=True))
    first = (await graph.conversations(limit=4)).data
    assert (await graph.get(first["paging"]["next"])).data == {"data": []}
    graph.sim.modes.trailing_next = False
    assert "next" not in (await graph.conversations(limit=4)).data["paging"]


async def test_several_objects_can_be_asked_for_at_once(reader):
    graph = await reader(conversations=2)
    mids = list(graph.sim.truth.messages)[:3]
    reply = await graph.get("v26.0", ids=",".join(mids), fields="message")
    assert list(reply.data) == mids
    assert all(reply.data[mid]["id"] == mid for mid in mids)
    assert (await graph.get("", ids=f"{mids[0]},m_unknown")).error == (100, 33)
    assert (await graph.get("", ids=",".join(["1"] * 51))).error == (100, None)


async def test_old_versions_are_answered_by_the_oldest_that_lives(reader):
    graph = await reader()
    for asked, served in {"v3.1": "v20.0", "v24.0": "v24.0", "v26.0": "v26.0"}.items():
        reply = await graph.get(f"{asked}/me/")
        assert reply.headers["facebook-api-version"] == served
    assert (await graph.get("me")).headers["facebook-api-version"] == "v26.0"


async def test_a_token_may_come_in_query_form_json_or_header(reader):
    graph = await reader()
    url, token = f"{graph.sim.url}/v26.0/me", graph.token
    bearer = {"Authorization": f"Bearer {token}"}
    for how in (
        {"params": {"access_token": token}},
        {"headers": bearer},
    ):
        async with graph.session.get(url, **how) as reply:
            assert (await reply.json())["id"] == graph.page
    for how in (
        {"data": {"access_token": token, "method": "get"}},
        {"json": {"access_token": token, "method": "get"}},
    ):
        async with graph.session.post(url, **how) as reply:
            assert (await reply.json())["id"] == graph.page


async def test_a_page_sees_its_own_conversations_only_though_thread_ids_repeat(reader):
    graph = await reader(pages=2, conversations=3)
    first, second = graph.sim.truth.pages
    assert {t for p, t in graph.sim.truth.threads if p == first} == {
        t for p, t in graph.sim.truth.threads if p == second
    }
    other = graph.sim.tokens.of_page[second]
    assert (await graph.get(f"{first}/conversations", access_token=other)).error == (210, None)
    theirs = next(m for m in graph.sim.truth.messages.values() if m.conversation.page.id == first)
    assert (await graph.get(theirs.mid, access_token=other)).error == (100, 33)
    thread = theirs.conversation.thread
    mine = await graph.get(thread, fields="messages{id}")
    others = await graph.get(thread, fields="messages{id}", access_token=other)
    assert mine.data["id"] == others.data["id"]
    assert mine.data["messages"]["data"] != others.data["messages"]["data"]


@pytest.mark.parametrize(
    ("path", "parameters", "error"),
    [
        ("me", {"access_token": None}, (2500, None)),
        ("me", {"access_token": "EAAnothing"}, (190, None)),
        ("me", {"fields": "id,shoe_size"}, (100, None)),
        ("me", {"fields": "id{"}, (2500, None)),
        ("me", {"fields": "id,?"}, (2500, None)),
        ("me/conversations", {"limit": "many"}, (100, None)),
        ("me/conversations", {"fields": "messages.limit(x)"}, (100, None)),
        ("me/conversations", {"after": "nonsense"}, (100, None)),
        ("me/nothing", {}, (100, 33)),
        ("t_404", {}, (100, 33)),
    ],
)
async def test_what_makes_no_sense_is_refused_as_facebook_does(reader, path, parameters, error):
    graph = await reader()
    reply = await graph.get(path, **parameters)
    assert reply.status == 400
    assert reply.error == error
    assert reply.data["error"]["fbtrace_id"]
    assert reply.headers["WWW-Authenticate"].startswith('OAuth "Facebook Platform"')


async def test_proofs_are_checked_as_their_mode_says(reader):
    graph = await reader()
    right = graph.sim.tokens.proof(graph.token)
    assert (await graph.get("me", appsecret_proof=right)).status == 200
    assert (await graph.get("me", appsecret_proof="00")).error == (100, None)
    assert (await graph.get("me")).status == 200
    graph.sim.modes.proof = "required"
    assert (await graph.get("me")).error == (100, None)
    assert (await graph.get("me", appsecret_proof=right)).status == 200
    graph.sim.modes.proof = "off"
    assert (await graph.get("me", appsecret_proof="00")).status == 200


async def test_old_cursors_are_refused(reader):
    graph = await reader(conversations=4)
    first = (await graph.conversations(limit=2)).data["paging"]["cursors"]["after"]
    assert (await graph.control("POST", "cursors/expire")).status == 200
    assert (await graph.conversations(limit=2, after=first)).error == (100, None)
    again = (await graph.conversations(limit=2)).data["paging"]["cursors"]["after"]
    assert len((await graph.conversations(limit=2, after=again)).data["data"]) == 2
    graph.sim.modes.cursor_life = 0.001
    assert (await graph.conversations(limit=2, after=first)).error == (100, None)


def test_the_same_seed_gives_the_same_truth_and_another_seed_another():
    def mids(seed):
        truth = Simulator(Config(seed=seed, conversations=3, instagram=2, start_ms=10**12)).truth
        return [(m.mid, m.sent_ms, m.text, m.attachments) for m in truth.messages.values()]

    assert mids(1) == mids(1)
    assert not {mid for mid, *_ in mids(1)} & {mid for mid, *_ in mids(2)}


def test_fields_are_read_and_written_alike():
    text = "id,messages.limit(2).after(X){id,from{name}},participants"
    assert fields.text(fields.parse(text)) == text
    assert fields.parse("a,b,") == fields.parse("a,b")
    with pytest.raises(GraphError):
        fields.parse("a{b")


def test_ids_look_like_facebooks():
    assert ids.facebook_base64("0") == "MAZDZD"
    assert ids.facebook_unbase64("MAZDZD") == "0"
    assert re.fullmatch(r"m_[\w-]{86}", ids.messenger_mid("x"))
    assert ids.access_token("x").startswith("EAA")
    decoded = ids.facebook_unbase64(ids.instagram_mid("1784140", "12", "34"))
    assert decoded == "ig_dm_item:1:IGMessageID:1784140:12:34"
