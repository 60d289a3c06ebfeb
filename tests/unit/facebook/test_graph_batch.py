"""Fifty questions in one request."""

import json
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from shared.errors import Unreadable
from shared.facebook.graph import batch, requests
from shared.facebook.graph.replies import Reply, reply_of

PAYLOADS = Path(__file__).parents[4] / "shared" / "payloads" / "restfb-graph"


def outer(body) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return reply_of(200, {"date": "Sat, 15 Jun 2024 19:20:00 GMT"}, raw)


def test_each_item_brings_its_own_parameters():
    asked = [
        requests.page("1").with_parameters(("access_token", "A"), ("appsecret_proof", "a")),
        requests.page("2").with_parameters(("access_token", "B"), ("appsecret_proof", "b")),
    ]
    packed = batch.pack(asked)
    assert (packed.method, packed.path) == ("POST", "")
    told = dict(packed.parameters)
    assert told["include_headers"] == "true"
    items = json.loads(told["batch"])
    assert [item["method"] for item in items] == ["GET", "GET"]
    path, _, query = items[1]["relative_url"].partition("?")
    assert path == "2"
    assert parse_qs(query)["access_token"] == ["B"]
    assert parse_qs(query)["appsecret_proof"] == ["b"]


def test_more_than_fifty_questions_are_refused():
    batch.pack([requests.page("1")] * 50)
    with pytest.raises(ValueError, match="50"):
        batch.pack([requests.page("1")] * 51)


def test_only_reads_go_into_a_batch():
    with pytest.raises(ValueError, match="GET"):
        batch.pack([requests.subscribe("1")])


def test_each_answer_has_its_own_status_usage_and_place():
    told = outer(
        [
            {"code": 200, "body": '{"id":"1"}', "headers": []},
            None,
            {
                "code": 400,
                "body": '{"error":{"code":190}}',
                "headers": [{"name": "X-App-Usage", "value": '{"call_count":71}'}],
            },
        ]
    )
    first, missing, last = batch.unpack(told, 3)
    assert missing is None
    assert (first.status, first.body, first.usage.app) == (200, b'{"id":"1"}', 0)
    assert (last.status, last.usage.app) == (400, 71)
    assert last.date_ms == told.date_ms


@pytest.mark.parametrize("body", [b"{}", b"x", [], [None], [{"code": 200}] * 3, [5, 5]])
def test_an_answer_of_another_shape_is_no_batch(body):
    with pytest.raises(Unreadable):
        batch.unpack(outer(body), 2)


@pytest.mark.parametrize("name", ["batch-first-error", "batch-second-error", "batch-simple"])
def test_batches_seen_in_public_fixtures(name):
    path = PAYLOADS / f"batch-{name}.json"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    replies = batch.unpack(outer(path.read_bytes()), 2)
    assert all(reply.usage.app == 2 for reply in replies)
