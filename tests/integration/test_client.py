"""The part that touches the network, against a server that misbehaves as told."""

import gzip
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.config import Secret
from shared.errors import Unreadable
from shared.facebook.graph import client as module
from shared.facebook.graph import requests
from shared.facebook.graph.client import AnswerTooLarge, Client, GraphUnavailable, connected, proof

TOKEN, SECRET = Secret("EAABpagetoken"), Secret("app-secret")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def graph(handler: Handler) -> AsyncIterator[Client]:
    """A client of a server that answers with `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with (
        TestServer(app) as server,
        connected(
            url=str(server.make_url("")), version="v26.0", app_id="1001", app_secret=SECRET
        ) as client,
    ):
        yield client


async def test_the_token_travels_in_a_header_and_the_proof_beside_it():
    seen = []

    async def answer(request):
        seen.append(request)
        return web.json_response({"id": "102"}, headers={"X-App-Usage": '{"call_count":3}'})

    async with graph(answer) as client:
        reply = await client.send(requests.page("102"), TOKEN)
    (request,) = seen
    assert request.headers["Authorization"] == "Bearer EAABpagetoken"
    assert request.path == "/v26.0/102"
    assert "EAAB" not in str(request.url)
    assert request.query["appsecret_proof"] == proof("EAABpagetoken", "app-secret")
    assert (reply.status, json.loads(reply.body), reply.usage.app) == (200, {"id": "102"}, 3)
    assert reply.date_ms % 1000 == 0


def test_the_proof_is_the_one_other_clients_compute():
    assert proof("TOK", "s") == "cf7842c06038347044e35e74f53ff76c3c9053f4d48a488d1c19823846dd3432"


async def test_what_must_stay_secret_travels_in_the_body():
    async def answer(request):
        assert not request.query_string
        form = await request.post()
        return web.json_response({"input": form["input_token"], "method": form["method"]})

    async with graph(answer) as client:
        reply = await client.send(requests.debug_token("EAABother"), client.app_token)
    assert json.loads(reply.body) == {"input": "EAABother", "method": "get"}


async def test_errors_are_answers_too():
    async def answer(request):
        return web.json_response({"error": {"code": 190}}, status=400)

    async with graph(answer) as client:
        reply = await client.send(requests.page("102"), TOKEN)
    assert reply.status == 400


async def test_a_batch_speaks_for_the_app_and_each_item_for_its_page():
    async def answer(request):
        assert request.headers["Authorization"] == "Bearer 1001|app-secret"
        form = await request.post()
        items = json.loads(form["batch"])
        echoed = [parse_qs(item["relative_url"].partition("?")[2]) for item in items]
        return web.json_response([{"code": 200, "body": json.dumps(one)} for one in echoed])

    asked = [(requests.page("1"), Secret("A")), (requests.page("2"), Secret("B"))]
    async with graph(answer) as client:
        _, (first, second) = await client.send_batch(asked)
    for reply, token in ((first, "A"), (second, "B")):
        told = json.loads(reply.body)
        assert told["access_token"] == [token]
        assert told["appsecret_proof"] == [proof(token, "app-secret")]


async def test_a_refused_batch_hands_back_its_refusal():
    async def answer(request):
        return web.json_response({"error": {"code": 4}}, status=403)

    async with graph(answer) as client:
        outer, replies = await client.send_batch([(requests.page("1"), TOKEN)])
    assert outer.status == 403
    assert replies == []


async def test_a_redirect_is_not_followed():
    async def answer(request):
        assert request.path == "/v26.0/102"
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    async with graph(answer) as client:
        assert (await client.send(requests.page("102"), TOKEN)).status == 302


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("gzip", gzip.compress(b'{"id":"102"}', mtime=0)),
        ("deflate", zlib.compress(b'{"id":"102"}')),
    ],
)
async def test_packed_answers_are_unpacked(name, packed):
    async def answer(request):
        assert request.headers["Accept-Encoding"] == "gzip, deflate"
        return web.Response(body=packed, headers={"Content-Encoding": name})

    async with graph(answer) as client:
        assert (await client.send(requests.page("102"), TOKEN)).body == b'{"id":"102"}'


@pytest.mark.parametrize("packed", [False, True])
async def test_an_endless_answer_is_cut_off(packed, monkeypatch):
    monkeypatch.setattr(module, "ANSWER_BYTES", 1 << 20)

    async def answer(request):
        body = b"0" * (8 << 20)
        headers = {"Content-Encoding": "gzip"} if packed else {}
        return web.Response(body=gzip.compress(body) if packed else body, headers=headers)

    async with graph(answer) as client:
        with pytest.raises(AnswerTooLarge):
            await client.send(requests.page("102"), TOKEN)


async def test_a_broken_gzip_is_an_answer_that_did_not_come():
    async def answer(request):
        return web.Response(body=b"not gzip", headers={"Content-Encoding": "gzip"})

    async with graph(answer) as client:
        with pytest.raises(GraphUnavailable):
            await client.send(requests.page("102"), TOKEN)


async def test_a_reset_and_a_refused_connection_say_no_more_than_their_kind():
    async def answer(request):
        request.transport.abort()
        return web.Response()

    async with graph(answer) as client:
        with pytest.raises(GraphUnavailable) as reset:
            await client.send(requests.page("102"), TOKEN)
    async with connected(
        url="http://127.0.0.1:1", version="v26.0", app_id="1", app_secret=SECRET
    ) as client:
        with pytest.raises(GraphUnavailable) as refused:
            await client.send(requests.page("102"), TOKEN)
    for caught in (reset, refused):
        assert "EAAB" not in str(caught.value)
        assert "proof" not in str(caught.value)


async def test_an_answer_without_date_is_refused():
    async def answer(request):
        response = web.json_response({})
        response.headers["Date"] = "yesterday"
        return response

    async with graph(answer) as client:
        with pytest.raises(Unreadable, match="date"):
            await client.send(requests.page("102"), TOKEN)


async def test_a_version_that_died_is_said_once():
    async def answer(request):
        return web.json_response({}, headers={"facebook-api-version": "v27.0"})

    with structlog.testing.capture_logs() as logged:
        async with graph(answer) as client:
            for _ in range(3):
                await client.send(requests.page("102"), TOKEN)
    assert [line["event"] for line in logged] == ["graph_version_differs"]
