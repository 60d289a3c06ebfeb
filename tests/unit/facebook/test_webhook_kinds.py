"""Every kind of item, a sample of each in tests/samples/webhook, and what it becomes."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.events import Event, Item
from shared.facebook.webhook.body import parse

SAMPLES = Path(__file__).parents[2] / "samples" / "webhook"
RECEIVED_MS = 1718479196000
ITEM = {"sender": {"id": "7001"}, "recipient": {"id": "1001"}, "timestamp": 1718479195308}


def cases() -> list[Any]:
    found = []
    for path in sorted(SAMPLES.glob("*.json")):
        sample = json.loads(path.read_text(encoding="utf-8"))
        defaults = {"object": "page", "page": "1001", "time": 1718479195594} | sample
        found += [
            pytest.param(defaults | case, id=f"{path.stem}: {case['case']}")
            for case in sample["cases"]
        ]
    return found


each_case = pytest.mark.parametrize("case", cases())


def body_of(case: dict[str, Any]) -> bytes:
    item = case["item"]
    if case["list"] not in {"changes", "changed_fields"}:
        item = {key: ITEM[key] for key in ITEM if key not in case.get("without", ())} | item
    entry = {"id": case["page"], "time": case["time"], case["list"]: [item]}
    return json.dumps({"object": case["object"], "entry": [entry]}, separators=(",", ":")).encode()


def told(event: Event) -> dict[str, Any]:
    """An event as plain values, with the JSON in it decoded."""
    plain = msgspec.to_builtins(event, builtin_types=(bytes,))
    for name in ("attachments", "extra", "payload"):
        if isinstance(plain.get(name), bytes):
            plain[name] = json.loads(plain[name])
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()
    }


@each_case
def test_each_kind_becomes_its_events(case: dict[str, Any]) -> None:
    (item,) = parse(body_of(case), RECEIVED_MS)
    assert isinstance(item, Item)
    events = [told(event) for event in item.events]
    assert [event["type"] for event in events] == [one["type"] for one in case["becomes"]]
    for event, expected in zip(events, case["becomes"], strict=True):
        assert {key: event[key] for key in expected} == expected


@each_case
def test_an_items_bytes_are_a_body_that_gives_the_item_again(case: dict[str, Any]) -> None:
    (item,) = parse(body_of(case), RECEIVED_MS)
    assert parse(item.raw, RECEIVED_MS) == [item]


@each_case
def test_spaces_and_the_order_of_keys_change_nothing_but_the_bytes(case: dict[str, Any]) -> None:
    (item,) = parse(body_of(case), RECEIVED_MS)
    pretty = json.dumps(backwards(json.loads(body_of(case))), indent=2).encode()
    (again,) = parse(pretty, RECEIVED_MS)
    assert again.identity == item.identity
    assert sorted(map(repr, again.events)) == sorted(map(repr, item.events))


def backwards(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(part) for part in value] if isinstance(value, list) else value


def test_an_item_says_whom_and_which_message_it_is_about() -> None:
    (item,) = parse(
        b'{"object":"page","entry":[{"id":"1001","time":1718479195594,"messaging":[{"sender":'
        b'{"id":"7001"},"recipient":{"id":"1001"},"timestamp":1718479195308,"message":{"mid":'
        b'"mid.1","text":"hi"}}]}]}',
        RECEIVED_MS,
    )
    assert (item.object, item.page_id) == ("page", "1001")
    assert (item.participant_id, item.mid) == ("7001", "m_mid.1")
    assert len(item.identity) == 16


def test_a_postback_without_an_id_is_named_by_what_it_is() -> None:
    def mid(**changed: Any) -> str:
        item = ITEM | {"postback": {"payload": "START"}} | changed
        entry = {"id": changed.get("page", "1001"), "time": 1, "messaging": [item]}
        (read,) = parse(json.dumps({"object": "page", "entry": [entry]}).encode(), RECEIVED_MS)
        return str(read.mid)

    first = mid()
    assert first.startswith("pb:")
    assert len(first) == 3 + 64
    assert mid() == first
    others = [
        mid(page="1002"),
        mid(sender={"id": "7002"}),
        mid(timestamp=1718479195309),
        mid(postback={"payload": "STOP"}),
        mid(postback={}),
    ]
    assert len({first, *others}) == 6


def test_the_same_notice_has_the_same_key_and_another_has_another() -> None:
    def key(page: str = "1001", time: int = 1718479195, **item: Any) -> bytes:
        entry = {"id": page, "time": time, "changes": [{"field": "feed", "value": 1} | item]}
        (read,) = parse(json.dumps({"object": "page", "entry": [entry]}).encode(), RECEIVED_MS)
        (event,) = read.events
        return event.key

    assert key() == key()
    assert (
        len({key(), key(page="1002"), key(time=1718479196), key(field="mention"), key(value=2)})
        == 5
    )


def test_what_is_said_twice_at_two_times_is_two_changes() -> None:
    def identity(channel: str, time: int, item: Any) -> bytes:
        entry = {"id": "1001", "time": time, channel: [item]}
        (read,) = parse(json.dumps({"object": "page", "entry": [entry]}).encode(), RECEIVED_MS)
        return read.identity

    label = {
        "field": "inbox_labels",
        "value": {"user": {"id": "1"}, "action": "add", "label": {"id": "2"}},
    }
    assert identity("changes", 1718479195, label) != identity("changes", 1718479196, label)
    message = ITEM | {"message": {"mid": "m_1"}}
    assert identity("messaging", 1, message) == identity("messaging", 2, message)
    assert identity("messaging", 1, message) != identity("standby", 1, message)
