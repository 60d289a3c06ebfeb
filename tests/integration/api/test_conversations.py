"""Conversations and messages as people read them."""

from uuid import uuid4

from shared import events
from shared.store import coverage, reading
from tests.integration.api.world import INSTAGRAM, NOW_MS, OTHER, PAGE, World, message


async def test_a_message_shows_in_the_list_the_conversation_and_the_thread(world: World) -> None:
    await world.happen(message(1, text="hello"))
    [listed] = (await world.get("/api/conversations"))["data"]
    assert listed["lastMessage"]["text"] == "hello"
    assert listed["pageId"] == PAGE
    assert listed["page"]["name"] == "Acme"
    assert listed["unread"] is True
    assert listed["lastMessageAt"] == "2025-11-24T16:00:01Z"
    assert await world.get(f"/api/conversations/{listed['id']}") == listed
    [shown] = (await world.get(f"/api/conversations/{listed['id']}/messages"))["data"]
    assert shown["text"] == "hello"
    assert shown["sentMs"] == NOW_MS + 1000
    assert shown["attachments"] == []
    assert shown["state"] is None


async def test_slices_cover_everything_once_and_newest_first(world: World) -> None:
    await world.happen(*(message(n, f"person-{n % 7}") for n in range(40)))
    seen, cursor = [], {}
    while True:
        slice_ = await world.get("/api/conversations", limit=3, **cursor)
        seen += slice_["data"]
        if slice_["nextCursor"] is None:
            break
        cursor = {"cursor": slice_["nextCursor"]}
    assert [one["participantId"] for one in seen] == [f"person-{n % 7}" for n in range(39, 32, -1)]
    thread, cursor = [], {}
    while True:
        slice_ = await world.get(f"/api/conversations/{seen[0]['id']}/messages", limit=2, **cursor)
        thread += [one["mid"] for one in slice_["data"]]
        if slice_["nextCursor"] is None:
            break
        cursor = {"cursor": slice_["nextCursor"]}
    assert thread == [f"m_{n}" for n in range(39, -1, -7) if n % 7 == 4]


async def test_a_cursor_stays_good_while_rows_move(world: World) -> None:
    await world.happen(*(message(n, f"person-{n}") for n in range(6)))
    first = await world.get("/api/conversations", limit=2)
    await world.happen(message(10, "person-5"), message(11, "person-0"))
    rest = await world.get("/api/conversations", cursor=first["nextCursor"])
    assert [one["participantId"] for one in rest["data"]] == ["person-3", "person-2", "person-1"]


async def test_a_page_means_its_instagram_account_too_by_any_of_its_ids(world: World) -> None:
    await world.happen(
        message(1, "person-1"),
        message(2, "igsid-1", page_id=INSTAGRAM, platform="instagram"),
        message(3, "person-3", page_id=OTHER),
    )
    [ours] = [one for one in (await world.get("/api/pages"))["data"] if one["name"] == "Acme"]
    for any_id in (PAGE, INSTAGRAM, ours["id"]):
        found = (await world.get("/api/conversations", pageId=any_id))["data"]
        assert [one["participantId"] for one in found] == ["igsid-1", "person-1"]
        assert {one["page"]["name"] for one in found} == {"Acme"}


async def test_unread_is_what_came_after_our_last_answer_and_the_last_look(world: World) -> None:
    await world.happen(message(1), message(2, "person-2"))
    ids = {
        one["participantId"]: one["id"] for one in (await world.get("/api/conversations"))["data"]
    }
    await world.happen(message(3, "person-2", direction="out", source="echo"))
    unread = (await world.get("/api/conversations", unread="true"))["data"]
    assert [one["participantId"] for one in unread] == ["person-1"]
    seen = await world.ask("PUT", f"/api/conversations/{ids['person-1']}/seen")
    assert seen.status == 200
    assert seen.body["unread"] is False
    assert (await world.get("/api/conversations", unread="true"))["data"] == []
    await world.happen(message(10**9))
    assert len((await world.get("/api/conversations", unread="true"))["data"]) == 1


async def test_what_came_after_the_newest_message_shown_stays_unread(world: World) -> None:
    await world.happen(message(1))
    [one] = (await world.get("/api/conversations"))["data"]
    await world.happen(message(2))
    path = f"/api/conversations/{one['id']}/seen"
    seen = await world.ask("PUT", path, json={"until": one["lastMessage"]["sentAt"]})
    assert seen.body["unread"] is True
    seen = await world.ask("PUT", path, json={"until": "2999-01-01T00:00:00Z"})
    assert seen.body["unread"] is False
    assert seen.body["seenAt"] < "2999"


async def test_a_tag_is_put_found_and_taken_off(world: World) -> None:
    await world.happen(message(1), message(2, "person-2"))
    [_, one] = (await world.get("/api/conversations"))["data"]
    path = f"/api/conversations/{one['id']}/tags/very%20important%2Furgent"
    tagged = await world.ask("PUT", path)
    assert tagged.body["tags"] == [{"name": "very important/urgent", "source": "local"}]
    assert (await world.ask("PUT", path)).body == tagged.body
    found = (await world.get("/api/conversations", tag="very important/urgent"))["data"]
    assert [each["id"] for each in found] == [one["id"]]
    assert (await world.ask("DELETE", path)).body["tags"] == []
    assert (await world.ask("PUT", path)).body["tags"] == tagged.body["tags"]
    assert (await world.get("/api/conversations", tag="nobody's"))["data"] == []
    kinds = await world.rows("select kinds from changes where 'tag' = any(kinds)")
    assert len(kinds) == 3


async def test_a_label_of_the_page_shows_and_is_not_ours_to_take(world: World) -> None:
    about = {"platform": "messenger", "page_id": PAGE, "participant_id": "person-1"}
    await world.happen(
        message(1),
        events.Label(**about, label_id="7", name="VIP", at_ms=NOW_MS, active=True),
        events.Label(**about, label_id="8", name=None, at_ms=NOW_MS, active=True),
    )
    [one] = (await world.get("/api/conversations", tag="VIP"))["data"]
    assert one["tags"] == [{"name": "VIP", "source": "facebook"}]
    refused = await world.ask("DELETE", f"/api/conversations/{one['id']}/tags/VIP")
    assert refused.status == 409


async def test_a_label_that_is_renamed_is_so_wherever_it_is_worn(world: World) -> None:
    about = {"platform": "messenger", "page_id": PAGE, "label_id": "7", "active": True}
    await world.happen(
        message(1),
        message(2, "person-2"),
        events.Label(**about, participant_id="person-1", name=None, at_ms=NOW_MS),
        events.Label(**about, participant_id="person-2", name=None, at_ms=NOW_MS),
    )
    for n, name in enumerate((None, "VIP", "Friend"), start=1):
        label = {"participant_id": "person-1", "name": name, "at_ms": NOW_MS + n}
        await world.happen(events.Label(**about, **label))
        shown = [one["tags"] for one in (await world.get("/api/conversations"))["data"]]
        assert shown == [[{"name": name, "source": "facebook"}] if name else []] * 2


async def test_a_history_that_ends_shows_at_once(world: World) -> None:
    await world.happen(message(1))
    [one] = (await world.get("/api/conversations"))["data"]
    assert one["historyComplete"] is False
    end = coverage.History(page_id=PAGE, participant_id="person-1", complete=True)
    async with world.database.transaction() as connection:
        await coverage.keep(connection, uuid4(), PAGE, end)

    async def shown() -> bool:
        return (await world.get(f"/api/conversations/{one['id']}"))["historyComplete"]

    await world.until(shown)


async def test_a_thread_tells_all_that_happened_to_its_messages(world: World) -> None:
    about = {"platform": "messenger", "page_id": PAGE, "participant_id": "person-1"}
    out = {"direction": "out", "source": "echo", "app_id": "99"}
    await world.happen(
        message(1, attachments=b'[{"type":"image","url":"https://example.com/a"}]'),
        message(2, **out, reply_to_mid="m_1", extra=b'{"metadata":"x"}'),
        message(3, **out),
        message(4, **out),
        events.Edit(
            **about, mid="m_1", direction="in", at_ms=NOW_MS + 9000, num_edit=1, text="new"
        ),
        events.Unsend(**about, mid="m_3", direction="out", at_ms=NOW_MS + 9500),
        events.Reaction(
            **about, mid="m_2", actor_id="person-1", at_ms=NOW_MS, active=True, reaction="love",
            emoji="❤",
        ),
        events.Reaction(**about, mid="m_1", actor_id=PAGE, at_ms=NOW_MS, active=False),
        events.Delivery(**about, watermark_ms=NOW_MS + 3000),
        events.Read(**about, at_ms=NOW_MS, watermark_ms=NOW_MS + 2000),
        events.Reaction(**about, mid="m_stub", actor_id=PAGE, at_ms=NOW_MS, active=True),
    )  # fmt: skip
    [one] = (await world.get("/api/conversations"))["data"]
    thread = (await world.get(f"/api/conversations/{one['id']}/messages"))["data"]
    assert [each["mid"] for each in thread] == ["m_4", "m_3", "m_2", "m_1"]
    four, three, two, first = thread
    assert [each["state"] for each in thread] == ["sent", "delivered", "read", None]
    assert three["text"] is None
    assert three["deletedAt"] == "2025-11-24T16:00:09.500000Z"
    assert two["reactions"] == [
        {"actorId": "person-1", "reaction": "love", "emoji": "❤", "actedAt": "2025-11-24T16:00:00Z"}
    ]
    assert two["extra"] == {"metadata": "x"}
    assert two["replyToMid"] == "m_1"
    assert four["appId"] == "99"
    assert first["text"] == "new"
    assert (first["numEdit"], first["reactions"]) == (1, [])
    assert first["attachments"] == [{"type": "image", "url": "https://example.com/a"}]


async def test_words_are_found_in_messages_and_names_as_they_are_typed(world: World) -> None:
    about = {"platform": "messenger", "page_id": PAGE}
    await world.happen(
        message(1, text="Is the red bicycle still available?"),
        message(2, "person-2", text="red shoes, and a BICYCLE-bell"),
        message(3, "person-3", text="O'Reilly: c:\\path & ändern"),
        message(4, "person-4", text="bicycle"),
        message(5, "person-4", text="red"),
        message(6, "igsid-1", page_id=INSTAGRAM, platform="instagram", text="red bicycle"),
        events.Thread(
            **about, participant_id="person-5", thread_id="t_5", as_of_ms=NOW_MS,
            participant_name="Rebecca Bike-Bicycle",
        ),
    )  # fmt: skip

    async def found(q: str, key: str = "admin", **also: str) -> set[str]:
        listed = (await world.get("/api/conversations", key, q=q, **also))["data"]
        return {one["participantId"] for one in listed}

    assert await found("bicy re") == {"person-1", "person-2", "person-5", "igsid-1"}
    assert await found("RED bicycle") == {"person-1", "person-2", "igsid-1"}
    assert await found("red bicycle", pageId=PAGE, unread="true") == {
        "person-1", "person-2", "igsid-1",
    }  # fmt: skip
    assert await found("red bicycle", "other") == set()
    assert await found("rebec") == {"person-5"}
    assert await found("o'reilly") == {"person-3"}
    assert await found("änd") == {"person-3"}
    for odd in ("'", "\\", "& | ! ( ) <-> :*", "':*", " ", "🙂", "%", "x" * 200, "z\\'q"):
        assert await found(odd) == set()
    await reading.merge_new_words(world.database)
    assert await found("bicycle bell") == {"person-2"}


async def test_what_was_unsent_is_found_no_more(world: World) -> None:
    about = {"platform": "messenger", "page_id": PAGE, "participant_id": "person-1"}
    await world.happen(message(1, text="secret"))
    assert len((await world.get("/api/conversations", q="secret"))["data"]) == 1
    await world.happen(events.Unsend(**about, mid="m_1", direction="in", at_ms=NOW_MS + 5000))
    assert (await world.get("/api/conversations", q="secret"))["data"] == []


async def test_a_search_goes_on_where_its_slice_ended(world: World) -> None:
    await world.happen(*(message(n, f"person-{n}", text="hello") for n in range(5)))
    first = await world.get("/api/conversations", q="hel", limit=3)
    rest = await world.get("/api/conversations", q="hel", cursor=first["nextCursor"])
    assert [one["participantId"] for one in first["data"] + rest["data"]] == [
        f"person-{n}" for n in (4, 3, 2, 1, 0)
    ]
