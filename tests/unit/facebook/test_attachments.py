"""The same attachments are the same bytes, and a fresh signature is not a change."""

import json
from typing import Any

import pytest

from shared.facebook.attachments import Attachment, canonical, from_webhook, stable_url


def key(*attachments: dict[str, Any]) -> bytes | None:
    return canonical(from_webhook(attachments))[1]


def image(url: str) -> dict[str, Any]:
    return {"type": "image", "payload": {"url": url}}


def test_the_json_is_sorted_compact_and_tells_only_what_was_told() -> None:
    told = Attachment(
        type="file", url="https://x/ä", mime_type="text/plain", size=3, payload={"b": 1, "a": 2}
    )
    assert (
        canonical([told])[0]
        == (
            '[{"mimeType":"text/plain","payload":{"a":2,"b":1},"size":3,"type":"file","url":"https://x/ä"}]'
        ).encode()
    )


def test_no_attachments_are_no_information() -> None:
    assert canonical([]) == (None, None)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "https://scontent.xx.fbcdn.net/v/1_n.jpg?oh=1&oe=2",
            "https://scontent.xx.fbcdn.net/v/1_n.jpg?oh=3",
        ),
        (
            "https://scontent-gmp1-1.xx.fbcdn.net/v/1_n.jpg?oh=1",
            "https://video.xx.fbcdn.net/v/1_n.jpg",
        ),
        (
            "https://scontent-a.cdninstagram.com/v/1.jpg",
            "https://scontent-b.cdninstagram.com/v/1.jpg#x",
        ),
        (
            "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=5&signature=a",
            "https://lookaside.fbsbx.com/ig_messaging_cdn/?signature=b&asset_id=5",
        ),
        (
            "https://l.facebook.com/l.php?u=https%3A%2F%2Fa.example&h=AT1",
            "https://l.facebook.com/l.php?u=https%3A%2F%2Fa.example&h=AT2",
        ),
    ],
)
def test_a_fresh_signature_is_not_a_change(one: str, other: str) -> None:
    assert canonical(from_webhook([image(one)]))[0] != canonical(from_webhook([image(other)]))[0]
    assert key(image(one)) == key(image(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://scontent.xx.fbcdn.net/v/1_n.jpg", "https://scontent.xx.fbcdn.net/v/2_n.jpg"),
        ("https://a.example/v/1.jpg", "https://b.example/v/1.jpg"),
        (
            "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=5&signature=a",
            "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=6&signature=a",
        ),
        (
            "https://l.facebook.com/l.php?u=https%3A%2F%2Fa.example",
            "https://l.facebook.com/l.php?u=https%3A%2F%2Fb.example",
        ),
        ("https://www.youtube.com/watch?v=a", "https://www.youtube.com/watch?v=b"),
    ],
)
def test_another_thing_is_a_change(one: str, other: str) -> None:
    assert key(image(one)) != key(image(other))


def test_an_id_counts_more_than_a_url() -> None:
    def post(number: int, url: str) -> dict[str, Any]:
        return {"type": "post", "payload": {"id": number, "url": url}}

    assert key(post(1, "https://x/a")) == key(post(1, "https://x/b"))
    assert key(post(1, "https://x/a")) != key(post(2, "https://x/a"))


def test_what_has_neither_id_nor_url_is_known_by_what_it_says() -> None:
    def product(picture: str, title: str) -> dict[str, Any]:
        return {
            "type": "template",
            "payload": {"elements": [{"image_url": picture, "title": title}]},
        }

    assert key(product("https://x/p?oh=1", "Cup")) == key(product("https://x/p?oh=2", "Cup"))
    assert key(product("https://x/p?oh=1", "Cup")) != key(product("https://x/p?oh=1", "Mug"))


def test_the_order_is_no_change_but_one_more_is() -> None:
    a, b = image("https://x/a"), image("https://x/b")
    assert key(a, b) == key(b, a)
    assert len({key(a), key(a, b), key(a, a), key(b)}) == 4


def test_damaged_urls_are_compared_as_they_are() -> None:
    for url in ("", "?", "http://[", "IMAGE_URL", "https://", "https:///?asset_id", "\ufffd"):
        assert stable_url(url) == stable_url(url)
        canonical([Attachment(type="image", url=url)])


def test_wrong_types_are_kept_where_they_stand() -> None:
    (told,) = from_webhook(
        [
            {
                "type": 5,
                "payload": {"url": 7, "title": None, "id": True, "size": "big", "sticker_id": []},
            }
        ]
    )
    assert (told.type, told.url, told.id, told.size) == ("unknown", None, None, None)
    assert told.payload == {"url": 7, "id": True, "size": "big", "sticker_id": []}


def test_a_payload_that_is_no_object_is_kept() -> None:
    told = from_webhook([{"type": "fallback", "payload": "blob"}, {"type": "x", "payload": [1]}])
    assert [one.payload for one in told] == ["blob", [1]]


def test_the_webhooks_own_type_is_not_overruled_by_its_payload() -> None:
    (told,) = from_webhook(
        [{"type": "template", "payload": {"type": "button", "url": "https://x"}}]
    )
    assert json.loads(canonical([told])[0] or b"") == [
        {"type": "template", "url": "https://x", "payload": {"type": "button"}}
    ]
