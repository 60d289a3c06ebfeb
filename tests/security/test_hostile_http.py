"""The door over raw sockets, as somebody meets it who means harm."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from ingress.listen import Listener
from ingress.webhook import strangers
from ingress.webhook.body import Bodies
from tests.integration.intake.intake_world import World, until
from tests.integration.intake.test_intake_http import BODY, post, raw, status
from tests.stack import sign

pytestmark = pytest.mark.asyncio(loop_scope="module")

SMUGGLED = post(b'{"object":"page","entry":[{"id":"smuggled"}]}', X_Hub_Signature_256="")
CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
ENDS = b"HTTP/1.1 "


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing_world(
    postgres_server: str, _template: str, redis_server: str
) -> AsyncIterator[World]:
    """One door for all tests, with the patience of a second: no test waits for it to lose more."""
    admin = await asyncpg.connect(postgres_server)
    await admin.execute(f"create database hostile template {_template}")
    await admin.close()
    found = World(redis_server, postgres_server.replace("/postgres?", "/hostile?"))
    await found.redis.flushall()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Listener, "idle_seconds", 1.0)
        patch.setattr(Bodies, "seconds", 1.0)
        patch.setattr(Listener, "reader_seconds", 1.0)
        await found.start(only=None)
        yield found
        await found.stop()
    await found.redis.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def world(standing_world: World) -> World:
    await standing_world.overlook()
    return standing_world


def chunked(content: bytes, body: bytes = BODY, **headers: str) -> bytes:
    """A request signed for `body`, with `content` on the wire."""
    head = post(body, **{"Content_Length": "", "Transfer_Encoding": "chunked"} | headers)
    return head.removesuffix(body) + content


def with_lines(*lines: bytes, body: bytes = BODY) -> bytes:
    """A signed request with more lines in its head."""
    head, _, rest = post(body).partition(b"\r\n\r\n")
    return b"\r\n".join([head, *lines]) + b"\r\n\r\n" + rest


AMBIGUOUS = {
    "length and chunks": with_lines(b"Transfer-Encoding: chunked") + SMUGGLED,
    "two lengths": with_lines(b"Content-Length: 5") + SMUGGLED,
    "two lengths in one line": post(BODY, Content_Length="5, 28"),
    "a signed length": post(BODY, Content_Length=f"+{len(BODY)}"),
    "a negative length": post(BODY, Content_Length="-1"),
    "a length in hex": post(BODY, Content_Length="0x1c"),
    "a length with an underscore": post(BODY, Content_Length="2_8"),
    "a length of another script": post(BODY, Content_Length="٢٨"),
    "chunks twice": chunked(CHUNK, Transfer_Encoding="chunked, chunked"),
    "chunks of an unknown kind": chunked(CHUNK, Transfer_Encoding="xchunked"),
    "chunks before something else": chunked(CHUNK, Transfer_Encoding="chunked, identity"),
    "a space before the colon": with_lines(b"Transfer-Encoding : chunked") + SMUGGLED,
    "a folded line": with_lines(b"X: a", b" Transfer-Encoding: chunked"),
    "a bare line feed": with_lines(b"X: a\nTransfer-Encoding: chunked") + SMUGGLED,
    "a bare carriage return": with_lines(b"X: a\rTransfer-Encoding: chunked") + SMUGGLED,
    "a zero byte": with_lines(b"X: a\0b"),
    "a name with a space": with_lines(b"X Y: a"),
    "no name": with_lines(b": a"),
    "a negative chunk": chunked(b"-1c\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk in no hex": chunked(b"0x1c\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk too long to count": chunked(b"f" * 40 + b"\r\n" + BODY),
    "a chunk without its end": chunked(b"%x\r\n%b0\r\n\r\n" % (len(BODY), BODY)),
    "a huge head": with_lines(b"X: " + b"a" * 100_000),
    "a method in small letters": post(BODY).replace(b"POST", b"post", 1),
    "another version": post(BODY).replace(b"HTTP/1.1", b"HTTP/3.7", 1),
    "a version before versions": b"GET /api/webhook\r\n\r\n",
    "a tab in the request line": post(BODY).replace(b"POST ", b"POST\t", 1),
}


@pytest.mark.parametrize("how", AMBIGUOUS)
async def test_a_request_that_two_could_read_differently_is_refused_once(
    world: World, how: str
) -> None:
    """One refusal at most, and nothing behind it is taken for a request of its own."""
    answer = await raw(world, AMBIGUOUS[how], seconds=15)
    assert answer.count(ENDS) <= 1
    assert not answer or 400 <= status(answer) < 500, answer
    assert await world.in_redis() == []


async def test_a_request_within_a_body_is_never_answered(world: World) -> None:
    answer = await raw(world, post(SMUGGLED))
    assert (status(answer), answer.count(ENDS)) == (200, 1)
    assert [envelope.body for envelope in await world.in_redis()] == [SMUGGLED]


async def test_chunk_extensions_and_trailers_say_nothing(world: World) -> None:
    content = b"%x;X-Hub-Signature-256=no\r\n%b\r\n0\r\nContent-Length: 5\r\n\r\n" % (
        len(BODY),
        BODY,
    )
    answer = await raw(world, chunked(content))
    assert status(answer) in {200, 400}
    assert [envelope.body for envelope in await world.in_redis()] in ([BODY], [])


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/metrics", {"X-Forwarded-For": "127.0.0.1"}),
        ("/metrics", {"Forwarded": "for=127.0.0.1"}),
        ("/api/webhook/../../metrics", {"X-Forwarded-For": "1.2.3.4"}),
        ("/api/webhook/%2e%2e/pages", {}),
        ("//api/pages", {}),
        ("/api//pages", {}),
        ("/api/pages", {"X-Original-URL": "/api/webhook", "X-Rewrite-URL": "/healthz"}),
        ("/api/pages", {"X-HTTP-Method-Override": "DELETE", "X-Forwarded-User": "admin"}),
        ("/api/pages", {"Cookie": "pagewire=; __Host-pagewire=x"}),
        ("http://127.0.0.1/api/pages", {"Host": "localhost"}),
        ("/api/webhook/data-deletion/" + "%00" * 8, {}),
        ("/static/../../../../etc/passwd", {}),
        ("/inbox/..%2f..%2f..%2fetc%2fpasswd", {}),
    ],
)
async def test_no_path_and_no_header_opens_what_is_closed(
    world: World, path: str, headers: dict[str, str]
) -> None:
    lines = [f"GET {path} HTTP/1.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in ({"Host": "door"} | headers).items()]
    answer = await raw(world, "\r\n".join([*lines, "", ""]).encode())
    assert status(answer) in {400, 401, 404}, answer
    assert b"pagewire_" not in answer
    assert b"root:" not in answer


@pytest.mark.parametrize("offer", ["websocket", "h2c", "TLS/1.0"])
async def test_no_other_protocol_is_spoken(world: World, offer: str) -> None:
    answer = await raw(
        world, post(BODY, Upgrade=offer, Connection="Upgrade, close", HTTP2_Settings="AAMAAABk")
    )
    assert status(answer) in {200, 400}


async def test_a_response_cannot_be_split(world: World) -> None:
    for query in ("hub.challenge=a%0d%0aX-Evil:%201", "%0d%0aX-Evil:%201", "hub.mode=%00"):
        answer = await raw(
            world,
            f"GET /api/webhook?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(),
        )
        assert status(answer) in {400, 403}
        assert b"X-Evil" not in answer


async def test_slow_and_idle_clients_cost_nobody_else_anything(world: World) -> None:
    """Half-sent heads and bodies from 200 sockets: a real webhook is answered meanwhile."""
    port = world.ingress.ports[0]
    slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
    for number, (_, writer) in enumerate(slow):
        writer.write(post(BODY)[: 20 + number % 180])
    took = [(await world.post(BODY))[1] for _ in range(20)]
    assert sorted(took)[10] < 0.1

    async def cut_off(reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.read()
        except ConnectionError:
            return b""

    async with asyncio.timeout(25):
        await asyncio.gather(*(cut_off(reader) for reader, _ in slow))
    for _, writer in slow:
        writer.close()


async def test_who_asks_and_does_not_read_is_cut_off(world: World) -> None:
    """Answers that nobody takes would hold their connections for ever."""
    asks = b"GET /api/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100
    with contextlib.ExitStack() as ends:
        for _ in range(20):
            lazy = ends.enter_context(socket.socket())
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            lazy.connect(("127.0.0.1", world.ingress.ports[0]))
            lazy.sendall(asks)

        def held() -> int:
            served = world.ingress._listeners[0]._runner.server
            left = [
                one.transport and one.transport.get_write_buffer_size()
                for one in served.connections
            ]
            return sum(bool(size) for size in left)

        async def all_wait() -> bool:
            return held() == 20

        async def none_is_left() -> bool:
            return held() == 0

        await until(all_wait)
        assert (await world.post(BODY))[0] == 200
        await until(none_is_left)


async def test_who_reads_slowly_gets_all_of_it(world: World) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.ingress.ports[0], limit=4096)
    writer.write(b"GET /api/openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" * 1)
    answer = b""
    while part := await reader.read(4096):
        answer += part
        await asyncio.sleep(0.1)
    head, _, content = answer.partition(b"\r\n\r\n")
    (length,) = re.findall(rb"Content-Length: (\d+)", head)
    assert len(content) == int(length)
    writer.close()


async def test_pipelined_requests_are_answered_each_for_itself(world: World) -> None:
    one = post(BODY, Connection="keep-alive")
    nobodys = b"GET /api/webhook HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = await raw(world, one + nobodys + one + post(BODY))
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"403", b"200", b"200"]
    assert len(await world.in_redis()) == 3


@pytest.mark.parametrize(
    "start",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(30),
        bytes.fromhex("16030100a5010000a10303") + bytes(100),
        b"CONNECT elsewhere:80 HTTP/1.1\r\nHost: elsewhere\r\n",
        b"TRACE /healthz HTTP/1.1\r\nHost: x\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n",
        b"GET /healthz HTTP/1.1\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
        b"POST /api/webhook HTTP/1.1\r\nHost: x\r\nExpect: 1000-maybe\r\nContent-Length: 1\r\n",
        b"GET /api/%zz%ff%00 HTTP/1.1\r\nHost: x\r\n",
        b"GET /api/webhook;/../pages HTTP/1.1\r\nHost: x\r\n",
        b"GET /static/x/..%2f..%2fpage.html HTTP/1.1\r\nHost: x\r\n",
        b"GET /\xe2\x80\xae HTTP/1.1\r\nHost: x\r\n",
    ],
)
async def test_what_is_no_request_of_ours_is_refused(world: World, start: bytes) -> None:
    answer = await raw(world, start + b"Connection: close\r\n\r\n")
    assert 400 <= status(answer) < 500
    assert answer.count(b"HTTP/1.") == 1
    assert b"healthz" not in answer


@pytest.mark.parametrize(
    "head",
    [
        "Host: door.example",
        "Host: localhost.door.example",
        "Host: localhost@door.example",
        "Host: ",
        "Host: localhost\r\nX-Forwarded-For: 127.0.0.1",
        "Host: localhost\r\nForwarded: for=localhost",
    ],
)
async def test_the_numbers_are_for_this_machine_by_its_own_name(world: World, head: str) -> None:
    """A proxy beside us, and a page whose name means this machine, ask from here, too."""
    ask = "GET /metrics HTTP/1.1\r\n{}\r\nConnection: close\r\n\r\n"
    assert status(await raw(world, ask.format(head).encode())) == 404
    assert status(await raw(world, ask.format("Host: localhost:9464").encode())) == 200


async def test_who_floods_with_forgeries_is_slowed_and_facebook_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Facebook's addresses are shared: what it signs is taken, whatever else comes from there."""
    monkeypatch.setattr(strangers, "PATIENCE", 3)
    forged = {"X-Hub-Signature-256": sign(BODY, "nobody")}
    told = []
    for _ in range(5):
        try:
            async with world.session.post("/api/webhook", data=BODY, headers=forged) as answer:
                told.append((answer.status, answer.headers.get("Connection")))
        except aiohttp.ClientOSError:
            # Closed on a body that nobody read: the answer may be lost on its way.
            told.append((429, "close"))
    assert told == [(401, None)] * 3 + [(429, "close")] * 2
    assert (await world.post(BODY))[0] == 200


# What answers without a key; whatever else is routed must not.
PUBLIC = {
    ("GET", "/api/webhook"): "the handshake, for who knows the verify token",
    ("POST", "/api/webhook"): "signed bodies",
    ("*", "/api/webhook"): "other methods are refused",
    ("POST", "/api/webhook/deauthorize"): "signed requests",
    ("POST", "/api/webhook/data-deletion"): "signed requests",
    ("GET", "/api/webhook/data-deletion/{code}"): "how far a deletion is, for who knows the code",
    ("GET", "/api/openapi.json"): "the same for all",
    ("GET", "/api/docs"): "the same for all",
    ("GET", "/api/docs/start.js"): "the same for all",
    ("GET", "/api/docs/swagger-ui.css"): "the same for all",
    ("GET", "/api/docs/swagger-ui-bundle.js"): "the same for all",
    ("POST", "/api/session"): "signing in",
    ("GET", "/"): "the pages without what they show",
    ("GET", "/inbox"): "the pages without what they show",
    ("GET", "/ops"): "the pages without what they show",
    ("GET", "/sign-in"): "the pages without what they show",
    ("GET", "/static/{version}/{name}"): "the same for all",
    ("GET", "/metrics"): "for this machine alone",
    ("GET", "/healthz"): "alive, and nothing else",
    ("GET", "/readyz"): "able to acknowledge, and nothing else",
}


async def test_whatever_is_routed_wants_a_key_or_is_named_as_public(world: World) -> None:
    """Whoever adds a path says here why strangers may have it, or sees it closed to them."""
    routed = {
        ("GET" if route.method == "HEAD" else route.method, route.resource.canonical)
        for listener in world.ingress._listeners
        for route in listener._runner.app.router.routes()
    }
    assert PUBLIC.keys() < routed
    closed = routed - PUBLIC.keys()
    assert len(closed) > 20
    for method, path in closed:
        asked = re.sub(r"\{\w+\}", "00000000-0000-0000-0000-000000000000", path)
        async with world.session.request(method, asked, json={}) as answer:
            assert answer.status == 401, (method, path)
