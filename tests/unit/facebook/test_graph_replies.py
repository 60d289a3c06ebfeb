"""Graph's replies, read leniently, node by node."""

import json
from pathlib import Path

import pytest

from shared.errors import Unreadable as UnreadableBytes
from shared.events import Message, Unreadable
from shared.facebook.graph import details, mailboxes
from shared.facebook.graph.mailboxes import Mailbox
from shared.facebook.graph.replies import reply_of
from shared.facebook.graph.usage import Usage

PAYLOADS = Path(__file__).parents[4] / "shared" / "payloads"
DATE = {"date": "Sat, 15 Jun 2024 19:20:00 GMT"}
DATE_MS = 1718479200000
SENT, SENT_MS = "2024-06-15T19:19:55+0000", 1718479195000

PAGE = Mailbox(platform="messenger", page_id="102", own=frozenset({"102", "178"}))
INSTAGRAM = Mailbox(platform="instagram", page_id="178", own=frozenset({"102", "178"}))
JANE = {"id": "7", "name": "Jane Doe", "email": "7@facebook.com"}
ACME = {"id": "102", "name": "Acme"}


def reply(body):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return reply_of(200, DATE, raw)


def node(mid="m_1", **more):
    return {"id": mid, "created_time": SENT, "from": JANE, "message": "hello"} | more


def conversation(**more):
    return {
        "id": "t_1",
        "updated_time": SENT,
        "participants": {"data": [ACME, JANE]},
        "messages": {"data": [node()]},
    } | more


def read(*nodes, mailbox=PAGE):
    return mailboxes.messages(reply({"data": list(nodes)}), mailbox, "7")


def only(*nodes, mailbox=PAGE) -> Message:
    slice_ = read(*nodes, mailbox=mailbox)
    assert not slice_.rejected
    (found,) = slice_.found
    assert isinstance(found, Message)
    return found


def test_a_reply_is_dated_by_facebooks_clock_and_its_content_a_minute_earlier():
    told = reply_of(200, DATE | {"x-app-usage": '{"call_count":9}'}, b"{}")
    assert (told.date_ms, told.as_of_ms) == (DATE_MS, DATE_MS - 60_000)
    assert told.usage == Usage(app=9)


def test_a_reply_without_date_is_refused_rather_than_dated_by_our_clock():
    with pytest.raises(UnreadableBytes, match="date"):
        reply_of(200, {}, b"{}")
    assert reply_of(200, {}, b"{}", date_ms=5).date_ms == 5


def test_a_conversation_is_read():
    slice_ = mailboxes.conversations(reply({"data": [conversation()]}), PAGE)
    (found,) = slice_.found
    assert (found.thread.participant_id, found.thread.participant_name) == ("7", "Jane Doe")
    assert (found.thread.thread_id, found.thread.page_id) == ("t_1", "102")
    assert found.thread.as_of_ms == DATE_MS - 60_000
    assert found.updated_ms == SENT_MS
    assert found.thread.updated_ms is None
    (message,) = mailboxes.nested_messages(found, PAGE).found
    assert message == Message(
        platform="messenger",
        page_id="102",
        participant_id="7",
        mid="m_1",
        direction="in",
        source="graph",
        sent_ms=SENT_MS,
        exact=False,
        as_of_ms=DATE_MS - 60_000,
        text="hello",
    )


@pytest.mark.parametrize(
    ("participants", "participant_id", "name"),
    [
        ([JANE, ACME], "7", "Jane Doe"),
        ([ACME, {"id": 7}], "7", None),
        ([ACME, {"id": "7", "name": ""}], "7", None),
        ([{"id": "178", "username": "acme"}, {"id": "9", "username": "jane"}], "9", "jane"),
        ([{"id": "3", "name": "B"}, {"id": "2", "name": "A"}, ACME], "2", "A"),
    ],
)
def test_the_person_is_whoever_is_not_us_in_any_order(participants, participant_id, name):
    told = conversation(participants={"data": participants}, messages={"data": []})
    (found,) = mailboxes.conversations(reply({"data": [told]}), PAGE).found
    assert (found.thread.participant_id, found.thread.participant_name) == (participant_id, name)


def test_a_person_whom_only_the_messages_name_is_found_there():
    sent = node("m_2") | {"from": ACME, "to": {"data": [{"id": "8", "name": "Joe"}]}}
    told = conversation(participants=None, messages={"data": [sent]})
    (found,) = mailboxes.conversations(reply({"data": [told]}), PAGE).found
    assert found.thread.participant_id == "8"


def test_a_thread_that_names_nobody_goes_by_its_own_id():
    told = conversation(participants={"data": [ACME]}, messages={"data": [{"id": "m_1"}]})
    (found,) = mailboxes.conversations(reply({"data": [told]}), PAGE).found
    assert found.thread.participant_id == "t:t_1"


@pytest.mark.parametrize(
    "paging",
    [
        None,
        {},
        {"cursors": {"after": "A"}},
        {"cursors": {"after": "A"}, "previous": "https://x"},
        "nonsense",
    ],
)
def test_no_next_is_the_end(paging):
    assert mailboxes.conversations(reply({"data": [], "paging": paging}), PAGE).after is None


def test_next_leads_on_by_its_cursor_and_never_by_its_url():
    paging = {"cursors": {"after": "A="}, "next": "https://evil.example/?access_token=T&after=B"}
    assert mailboxes.conversations(reply({"data": [], "paging": paging}), PAGE).after == "A="


def test_more_without_a_cursor_is_not_taken_for_the_end():
    with pytest.raises(UnreadableBytes, match="cursor"):
        mailboxes.conversations(reply({"data": [], "paging": {"next": "https://x"}}), PAGE)


def test_messages_that_were_not_told_are_not_an_empty_conversation():
    told = conversation()
    del told["messages"]
    (found,) = mailboxes.conversations(reply({"data": [told]}), PAGE).found
    assert mailboxes.nested_messages(found, PAGE) is None


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"id": "t_2"},
        {"id": "", "updated_time": SENT},
        {"id": "t_2", "updated_time": "yesterday"},
        {"id": {"x": 1}, "updated_time": SENT},
        {"id": "t_2", "updated_time": "2024-06-15T19:19:55"},
        "text",
        None,
        [],
        {"id": "t" * 600, "updated_time": SENT},
    ],
)
def test_an_unreadable_conversation_costs_no_neighbour_and_is_kept(bad):
    slice_ = mailboxes.conversations(reply({"data": [conversation(), bad, conversation()]}), PAGE)
    assert len(slice_.found) == 2
    (rejected,) = slice_.rejected
    assert json.loads(rejected.raw) == bad
    assert (rejected.reason, rejected.page_id) == ("unreadable", "102")


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"id": "", "created_time": SENT, "from": JANE},
        node(created_time="yesterday"),
        node(message=5),
        {"id": "m_9", "message": "text of nobody"},
        "text",
        None,
    ],
)
def test_an_unreadable_message_costs_no_neighbour_and_is_kept(bad):
    slice_ = read(node("m_1"), bad, node("m_3"))
    assert [found.mid for found in slice_.found] == ["m_1", "m_3"]
    (rejected,) = slice_.rejected
    assert json.loads(rejected.raw) == bad
    assert "text of nobody" not in rejected.error


@pytest.mark.parametrize("field", ["attachments", "shares", "sticker", "story", "reply_to", "to"])
@pytest.mark.parametrize("odd", [5, "x", [], {}, {"data": 5}, {"data": [5, None]}, None])
def test_an_odd_part_of_a_message_costs_only_itself(field, odd):
    if field == "sticker" and not isinstance(odd, str):
        pytest.skip("a sticker is text, or the message is unreadable")
    found = only(node(**{field: odd}))
    assert found.text == "hello"


@pytest.mark.parametrize("told", [{"message": ""}, {"message": None}])
def test_what_is_absent_or_empty_tells_nothing(told):
    found = only(node(**told))
    assert (found.text, found.attachments, found.extra) == (None, None, None)
    assert (found.reply_to_mid, found.app_id) == (None, None)


@pytest.mark.parametrize(
    ("wire", "direction"),
    [
        ({"from": JANE}, "in"),
        ({"from": ACME}, "out"),
        ({"from": {"id": 102}}, "out"),
        ({"from": {"id": "178", "username": "acme"}}, "out"),
        ({"from": None, "to": {"data": [ACME]}}, "in"),
        ({"from": {}, "to": {"data": [JANE]}}, "out"),
    ],
)
def test_what_we_did_not_write_came_in(wire, direction):
    assert only(node(**wire)).direction == direction


def test_ids_without_content_are_unreadable_messages_not_deletions():
    slice_ = read({"id": "aWd1", "created_time": SENT}, mailbox=INSTAGRAM)
    assert slice_.found == [
        Unreadable(
            platform="instagram",
            page_id="178",
            participant_id="7",
            mid="aWd1",
            at_ms=DATE_MS - 60_000,
        )
    ]


def test_message_ids_are_those_that_webhooks_give():
    assert only(node("mid.1457:41d")).mid == "m_mid.1457:41d"
    assert only(node("aWdfZAG1"), mailbox=INSTAGRAM).mid == "aWdfZAG1"
    assert only(node(reply_to={"mid": "m_0", "is_self_reply": False})).reply_to_mid == "m_0"


@pytest.mark.parametrize("time", [SENT, "2024-06-15T19:19:55Z", 1718479195])
def test_times_come_in_iso_and_in_unix_seconds(time):
    assert only(node(created_time=time)).sent_ms == SENT_MS


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (
            {
                "attachments": {
                    "data": [
                        {
                            "id": "65",
                            "mime_type": "image/jpeg",
                            "name": "image-65",
                            "size": 54542,
                            "image_data": {"width": 1, "url": "https://x.fbcdn.net/a.jpg?oe=1"},
                        }
                    ]
                }
            },
            [
                {
                    "id": "65",
                    "mimeType": "image/jpeg",
                    "name": "image-65",
                    "size": 54542,
                    "type": "image",
                    "url": "https://x.fbcdn.net/a.jpg?oe=1",
                }
            ],
        ),
        (
            {
                "attachments": {
                    "data": [
                        {"id": "1", "video_data": {"url": "https://x/v"}, "size": None},
                        {"id": "2", "mime_type": "audio/mp4", "file_url": "https://x/a"},
                        {"id": "3", "mime_type": "application/pdf", "file_url": "https://x/f"},
                        {"id": "4", "name": "Media not available due to new privacy rules"},
                        {"id": "5", "generic_template": {"title": "Featured"}},
                        {
                            "id": "6",
                            "image_data": {"url": "https://x/s", "render_as_sticker": True},
                        },
                    ]
                }
            },
            [
                {"id": "1", "type": "video", "url": "https://x/v"},
                {"id": "2", "mimeType": "audio/mp4", "type": "audio", "url": "https://x/a"},
                {"id": "3", "mimeType": "application/pdf", "type": "file", "url": "https://x/f"},
                {
                    "id": "4",
                    "name": "Media not available due to new privacy rules",
                    "type": "unknown",
                },
                {"id": "5", "payload": {"title": "Featured"}, "type": "template"},
                {"id": "6", "type": "sticker", "url": "https://x/s"},
            ],
        ),
        ({"sticker": "https://x/like.png"}, [{"type": "sticker", "url": "https://x/like.png"}]),
        (
            {
                "shares": {
                    "data": [{"id": None, "link": "https://y", "name": "", "description": "d"}]
                }
            },
            [{"payload": {"description": "d"}, "type": "share", "url": "https://y"}],
        ),
        (
            {"story": {"mention": {"link": "https://z?asset_id=1", "id": "17"}}},
            [{"id": "17", "type": "story_mention", "url": "https://z?asset_id=1"}],
        ),
    ],
)
def test_what_comes_with_a_message_has_the_one_shape_of_attachments(wire, expected):
    found = only(node(message="", **wire))
    assert json.loads(found.attachments) == expected
    assert found.attachments_key is not None
    assert found.text is None


def test_a_fresh_signature_does_not_change_what_an_attachment_is():
    def wire(signature):
        image = {"url": f"https://scontent.fbcdn.net/a.jpg?oe={signature}"}
        return node(attachments={"data": [{"id": "65", "image_data": image}]})

    assert only(wire("1")).attachments_key == only(wire("2")).attachments_key


def test_a_story_that_was_answered_and_an_unsupported_message_are_kept_beside_the_text():
    found = only(
        node(story={"reply_to": {"link": "https://s", "id": "18"}}, is_unsupported="true"),
        mailbox=INSTAGRAM,
    )
    assert json.loads(found.extra) == {
        "is_unsupported": True,
        "story": {"id": "18", "url": "https://s"},
    }


def test_text_that_postgres_would_refuse_is_mended():
    body = (
        rb'{"data":[{"id":"m_1","created_time":"%s","from":{"id":"7"},"message":"a\u0000b\ud83d"}]}'
    )
    slice_ = mailboxes.messages(reply(body % SENT.encode()), PAGE, "7")
    assert slice_.found[0].text == "a\ufffdb\ufffd"


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"data":5}', b"{" * 60_000])
def test_a_body_that_is_no_slice_is_an_error_and_not_an_empty_slice(body):
    with pytest.raises(UnreadableBytes):
        mailboxes.conversations(reply(body), PAGE)
    with pytest.raises(UnreadableBytes):
        mailboxes.messages(reply(body), PAGE, "7")


def test_one_message_is_read():
    found = mailboxes.message(reply(node(to={"data": [ACME]})), PAGE, "7")
    assert found.mid == "m_1"
    with pytest.raises(UnreadableBytes):
        mailboxes.message(reply({"id": "m_1", "message": "x"}), PAGE, "7")


def test_the_linked_instagram_account_is_found_or_absent():
    assert details.instagram_id(reply({"id": "102"})) is None
    told = {"id": "102", "instagram_business_account": {"id": "178"}}
    assert details.instagram_id(reply(told)) == "178"


def test_our_apps_fields_are_told_apart_from_other_apps():
    told = {"data": [{"id": "1", "subscribed_fields": ["feed"]}, {"id": 2}]}
    assert details.subscribed_fields(reply(told), "1") == {"feed"}
    assert details.subscribed_fields(reply(told), "2") == frozenset()
    assert details.subscribed_fields(reply({"data": []}), "1") == frozenset()


def test_labels_are_read_under_their_old_and_new_name():
    told = {"data": [{"id": "1", "name": "VIP"}, {"id": 2, "page_label_name": "New"}, {"id": "3"}]}
    assert details.labels(reply(told)) == ({"1": "VIP", "2": "New", "3": None}, None)


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ({"name": "Jane Doe", "id": "7"}, "Jane Doe"),
        ({"first_name": "Jane", "last_name": "Doe"}, "Jane Doe"),
        ({"first_name": "Jane"}, "Jane"),
        ({"username": "jane"}, "jane"),
        ({"id": "7"}, None),
        ({}, None),
    ],
)
def test_a_name_is_never_invented(told, name):
    assert details.profile_name(reply(told)) == name


def test_a_users_pages_come_with_their_tokens():
    told = {
        "data": [
            {"id": "1", "name": "A", "access_token": "T", "tasks": ["MESSAGING"]},
            {"id": 2, "instagram_business_account": {"id": "178"}},
        ],
        "paging": {"cursors": {"after": "N"}, "next": "https://x"},
    }
    found, after = details.accounts(reply(told))
    assert after == "N"
    assert [(one.page_id, one.name, one.token, one.instagram_id) for one in found] == [
        ("1", "A", "T", None),
        ("2", "2", None, "178"),
    ]


def test_a_token_is_examined():
    told = details.token_info(
        reply({"data": {"is_valid": True, "app_id": 1, "expires_at": 0, "scopes": ["pages_x"]}})
    )
    assert (told.valid, told.app_id, told.expires_at) == (True, "1", 0)
    dead = details.token_info(reply({"data": {"is_valid": False, "error": {"code": 190}}}))
    assert not dead.valid


@pytest.mark.parametrize("name", ["conversations-list", "conversations-participants-messages"])
def test_slices_seen_in_metas_documentation(name):
    path = PAYLOADS / "meta-docs-graph" / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    told = json.loads(path.read_bytes())
    for one in told["data"]:
        one.setdefault("updated_time", SENT)
    slice_ = mailboxes.conversations(reply(told), PAGE)
    assert len(slice_.found) == len(told["data"])
    assert not slice_.rejected


@pytest.mark.parametrize(
    "name",
    [
        "v10_0-instagram-message-story",
        "v10_0-message-with-generic-template",
        "v2_11-message-with-sticker",
        "v2_5-message-with-share",
        "v2_5-message",
        "v7_0-message-eu",
    ],
)
def test_messages_seen_in_public_fixtures(name):
    path = PAYLOADS / "restfb-graph" / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    told = {"created_time": SENT, "from": JANE} | json.loads(path.read_bytes())
    found = only(told)
    assert found.text or found.attachments
