"""The API is what its description says, whatever is thrown at it."""

import json
import re
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from ingress.api import sync
from ingress.api.routes import EVENT_STREAM, routes_of
from shared.ids import conversation_id
from tests.integration.api.world import INSTAGRAM, PAGE, World, message

HOSTILE = st.one_of(
    st.text(max_size=30),
    st.sampled_from((
        "", "\0", "a\0b", "\udcff", "' or 1=1 --", "../../etc", "%00", "9" * 40, "-1", "1e9",
        "null", "x" * 1500, "NaN", "true", "\u202e", "🙂" * 50, PAGE, INSTAGRAM, "0", "1", "1001\n",
    )),
)  # fmt: skip
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
BODIES = st.one_of(
    st.binary(max_size=50),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.sampled_from(
        [
            b"",
            b"{",
            b"null",
            b"[" * 5000,
            b'{"a":' * 5000,
            b'"\\ud800"',
            b"\xff",
            b"{}" + b" " * 70_000,
        ]
    ),
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "PATIENCE", sync.timedelta())


@pytest.fixture
async def _a_message(world: World) -> None:
    await world.happen(message(1))


async def described(world: World) -> dict[str, Any]:
    return (await world.ask("GET", "/api/openapi.json", "")).body


async def test_every_route_is_described_and_every_reference_leads_somewhere(world: World) -> None:
    document = await described(world)
    assert document["openapi"] == "3.1.0"
    operations = {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    routes = routes_of(world.api.resources)
    assert {(route.method, f"/api{route.path}") for route in routes} == set(operations)
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(set(ids)) == len(ids)
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        part: Any = document
        for step in reference.split("/"):
            part = part[step]
    for (_, path), operation in operations.items():
        told = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
        assert told == set(re.findall(r"{(\w+)}", path))
        assert operation["summary"]


async def test_every_answer_is_of_the_type_that_is_described(world: World) -> None:
    await world.happen(
        message(1, attachments=b'[{"type":"image"}]', extra=b"{}"),
        message(2, direction="out", source="echo"),
    )
    [one] = (await world.get("/api/conversations"))["data"]
    job = (await world.ask("POST", "/api/conversations/sync?wait=0", json={"pageId": PAGE})).body
    filled = {"{id}": one["id"], "{jobId}": job["jobId"], "{name}": "vip"}
    checked = 0
    for route in routes_of(world.api.resources):
        kind = route.answers.get(200)
        if route.method != "GET" or kind is None or route.content_type == EVENT_STREAM:
            continue
        path = f"/api{route.path}"
        for name, value in filled.items():
            path = path.replace(name, PAGE if "/pages/" in path else value)
        reply = await world.ask("GET", path)
        assert reply.status == 200, path
        msgspec.json.decode(json.dumps(reply.body), type=kind)
        checked += 1
    assert checked >= 7


async def test_the_page_that_shows_the_api_needs_no_other_host(world: World) -> None:
    page = await world.ask("GET", "/api/docs", "")
    assert page.status == 200
    assert "'unsafe" not in page.headers["Content-Security-Policy"]
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.body):
        if not address.startswith("data:"):
            reply = await world.ask("GET", f"/api/{address}", "")
            assert reply.status == 200, address
            assert reply.body


@pytest.mark.usefixtures("_a_message")
@settings(
    max_examples=150, deadline=None, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(data=st.data())
async def test_nothing_a_client_sends_is_answered_with_a_server_error(
    world: World, data: st.DataObject
) -> None:
    document = await described(world)
    method, path = data.draw(st.sampled_from(_operations(document)))
    operation = document["paths"][path][method]
    for name in re.findall(r"{(\w+)}", path):
        value = data.draw(HOSTILE | st.sampled_from([PAGE, str(conversation_id(PAGE, "person-1"))]))
        path = path.replace(f"{{{name}}}", _quoted(value) or "x")
    names = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]
    query = data.draw(
        st.lists(st.tuples(st.sampled_from([*names, "surprise"]), HOSTILE), max_size=3)
    )
    asked = "&".join(f"{name}={_quoted(value)}" for name, value in query)
    body = data.draw(BODIES | _objects(document, operation))
    await _ask(world, method, f"{path}?{asked}", body)


def _operations(document: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted(
        (method, path)
        for path, methods in document["paths"].items()
        for method in methods
        if not path.endswith(("/live", "/events")) and path != "/api/session"
    )


def _objects(document: dict[str, Any], operation: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Return bodies that have the right names, with all kinds of values."""
    names = ["surprise"]
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        for one in schema.get("anyOf", [schema]):
            if "$ref" in one:
                kind = document["components"]["schemas"][one["$ref"].rpartition("/")[2]]
                names += kind["properties"]
    values = JSON | HOSTILE | st.sampled_from([PAGE, True, "active", "2025-01-01T00:00:00Z"])
    return st.dictionaries(st.sampled_from(names), values, max_size=4).map(
        lambda body: json.dumps(body).encode()
    )


async def _ask(world: World, method: str, path: str, body: bytes) -> None:
    headers = {
        "Authorization": f"Bearer {world.keys['admin']}",
        "Content-Type": "application/json",
    }
    url = URL(f"{world.url}{path}", encoded=True)
    async with world.http.request(method, url, headers=headers, data=body) as answer:
        raw = await answer.read()
    assert answer.status < 500, (path, body)
    if answer.status >= 400:
        told = json.loads(raw)
        assert answer.content_type == "application/problem+json", (path, body)
        assert told["status"] == answer.status
        assert told["error"] == told["detail"] != ""


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe="")
