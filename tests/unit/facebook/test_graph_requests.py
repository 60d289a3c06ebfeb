"""What we ask Graph, to the letter."""

from urllib.parse import parse_qs, urlsplit

from shared.facebook.graph import requests


def query(request: requests.Request) -> dict[str, str]:
    return dict(request.parameters)


def test_a_slice_of_conversations_nests_the_newest_messages():
    asked = requests.conversations("102", platform="messenger", limit=50, messages=25, after="A=")
    assert asked.path == "102/conversations"
    told = query(asked)
    assert told["platform"] == "messenger"
    assert told["limit"] == "50"
    assert told["after"] == "A="
    assert "messages.limit(25){id,created_time,from,to,message,attachments" in told["fields"]
    assert asked.has_cursor


def test_a_folder_is_named_and_since_is_never_sent():
    asked = requests.conversations("102", platform="messenger", limit=5, messages=1, folder="spam")
    assert query(asked)["folder"] == "spam"
    assert "since" not in asked.relative_url()


def test_instagram_is_asked_for_no_folder_and_no_more_than_twenty_messages():
    told = query(
        requests.conversations("102", platform="instagram", limit=5, messages=25, folder="inbox")
    )
    assert "folder" not in told
    assert "messages.limit(20)" in told["fields"]
    assert "sticker" not in told["fields"]


def test_only_the_inbox_stands_for_the_whole_page():
    def about(**how):
        return requests.conversations("1", limit=1, messages=1, **how).about

    assert about(platform="messenger") == about(platform="messenger", folder="inbox") == "page"
    assert about(platform="messenger", folder="spam") == about(platform="instagram") == "folder"


def test_ids_are_quoted_in_paths():
    asked = requests.messages("t_mid.$c/../x?y", platform="messenger", limit=1)
    assert asked.path == "t_mid.%24c%2F..%2Fx%3Fy/messages"


def test_a_batch_item_is_path_and_query():
    parts = urlsplit(requests.profile("7", platform="messenger").relative_url())
    assert parts.path == "7"
    assert parse_qs(parts.query) == {"fields": ["id,name,first_name,last_name,profile_pic"]}


def test_a_token_to_be_examined_stays_out_of_urls_and_of_reprs():
    asked = requests.debug_token("EAAB-secret")
    assert asked.method == "POST"
    assert "EAAB" not in asked.path
    assert "EAAB" not in repr(asked)


def test_subscribing_names_the_wanted_fields():
    asked = requests.subscribe("102")
    assert asked.method == "POST"
    assert "message_reactions" in dict(asked.parameters)["subscribed_fields"].split(",")
