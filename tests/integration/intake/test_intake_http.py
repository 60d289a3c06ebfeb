"""What Facebook, and everybody else who finds the address, is answered."""

import asyncio
import gzip
import json
import random
import time
import zlib
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from ingress.listen import Listener
from ingress.webhook.body import Bodies
from shared.facebook.signature import sign
from tests.integration.intake.intake_world import SECRET, TOKEN, World, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY = b'{"object":"page","entry":[]}'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing_world(
    postgres_server: str, _template: str, redis_server: str
) -> AsyncIterator[World]:
    """One ingress for all tests of this module: none of them harms it."""
    admin = await asyncpg.connect(postgres_server)
    await admin.execute(f"create database http template {_template}")
    await admin.close()
    found = World(redis_server, postgres_server.replace("/postgres?", "/http?"))
    await found.redis.flushall()
    await found.start()
    yield found
    await found.stop()
    await found.redis.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def world(standing_world: World) -> World:
    await standing_world.overlook()
    return standing_world


async def raw(world: World, *parts: bytes, pause: float = 0, seconds: float = 5) -> bytes:
    """Send bytes over a connection of their own; return all that comes until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.ingress.ports[0])
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        async with asyncio.timeout(seconds):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


def post(body: bytes, **headers: str) -> bytes:
    """A signed webhook as bytes on the wire; `headers` (with _ for -) replace or (empty) remove."""
    fields = {
        "Host": "door.example",
        "Content-Type": "application/json",
        "X-Hub-Signature-256": sign(body, SECRET),
        "Content-Length": str(len(body)),
        "Connection": "close",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    return "\r\n".join(["POST /api/webhook HTTP/1.1", *lines, "", ""]).encode() + body


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


async def nothing_stored(world: World) -> bool:
    return await world.in_redis() == [] and await world.in_postgres() == []


async def test_a_signed_webhook_is_acknowledged_and_kept_byte_for_byte(world: World) -> None:
    before = int(time.time() * 1000)
    async with world.session.post(
        "/api/webhook", data=BODY, headers={"X-Hub-Signature-256": sign(BODY, SECRET)}
    ) as response:
        assert (response.status, await response.text()) == (200, "EVENT_RECEIVED")
    (envelope,) = await world.in_redis()
    assert (envelope.kind, envelope.body) == ("webhook", BODY)
    assert before <= envelope.received_ms <= int(time.time() * 1000)


@pytest.mark.parametrize("secret", [SECRET, "another-secret"])
async def test_every_configured_secret_may_sign(world: World, secret: str) -> None:
    assert (await world.post(BODY, secret=secret))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[" * 60_000,
        b'{"text":"\\u0000 \\ud83d"}',
        b"\xff\xfe\x00",
        b'{"object":"unheard_of"}',
        json.dumps({"entry": [{"id": str(n)} for n in range(1000)]}).encode(),
        b'{"id":"' + b"x" * 20_000 + b'","n":99999999999999999999999}',
    ],
    ids=lambda body: body[:12].decode(errors="replace"),
)
async def test_what_a_signed_body_says_is_not_the_doors_business(world: World, body: bytes) -> None:
    assert (await world.post(body))[0] == 200
    assert [envelope.body for envelope in await world.in_redis()] == [body]


GOOD = sign(BODY, SECRET)


@pytest.mark.parametrize(
    ("signatures", "reason"),
    [
        ([], b"signature_missing"),
        ([""], b"signature_malformed"),
        (["sha256="], b"signature_malformed"),
        ([GOOD[:-1]], b"signature_malformed"),
        ([GOOD + "0"], b"signature_malformed"),
        (["sha1=" + "0" * 40], b"signature_malformed"),
        ([GOOD.replace("sha256", "SHA256")], b"signature_malformed"),
        ([GOOD, GOOD], b"signature_malformed"),
        (["sha256=" + "é" * 32], b"signature_"),
        (["sha256=" + "٣" * 64], b"signature_"),
        ([GOOD.upper().replace("SHA256", "sha256")], b"signature_wrong"),
        (["sha256=" + "0" * 64], b"signature_wrong"),
        ([sign(BODY, "unknown")], b"signature_wrong"),
        ([sign(BODY + b" ", SECRET)], b"signature_wrong"),
    ],
)
async def test_only_one_right_signature_opens_the_door(
    world: World, signatures: list[str], reason: bytes
) -> None:
    lines = [f"X-Hub-Signature-256: {signature}" for signature in signatures]
    head = [
        "POST /api/webhook HTTP/1.1",
        "Host: x",
        "Connection: close",
        f"Content-Length: {len(BODY)}",
    ]
    answer = await raw(world, "\r\n".join([*head, *lines, "", ""]).encode() + BODY)
    assert status(answer) == 401
    assert reason in answer
    assert await nothing_stored(world)


async def test_the_old_sha1_signature_alone_is_not_enough(world: World) -> None:
    answer = await raw(
        world, post(BODY, X_Hub_Signature_256="", X_Hub_Signature="sha1=" + "0" * 40)
    )
    assert status(answer) == 401


ASK = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": TOKEN}


async def test_the_handshake_echoes_the_challenge_as_plain_text(world: World) -> None:
    for order in (ASK, dict(reversed(ASK.items()))):
        async with world.session.get("/api/webhook", params=order) as response:
            assert (response.status, await response.read()) == (200, b"1158201444")
            assert response.content_type == "text/plain"
            assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "changed",
    [
        {"hub.verify_token": "wrong"},
        {"hub.verify_token": ""},
        {"hub.verify_token": TOKEN + "x"},
        {"hub.verify_token": None},
        {"hub.mode": "unsubscribe"},
        {"hub.mode": None},
        {"hub.challenge": None},
        {"hub.challenge": ""},
        {"hub.challenge": "<script>alert(1)</script>"},
        {"hub.challenge": "1\r\nSet-Cookie: a=b"},
        {"hub.challenge": "1" * 129},
        {"hub.challenge": "é"},
    ],
    ids=str,
)
async def test_any_other_handshake_is_forbidden(world: World, changed: dict[str, str]) -> None:
    asked = {name: value for name, value in (ASK | changed).items() if value is not None}
    async with world.session.get("/api/webhook", params=asked) as response:
        assert response.status == 403
        assert "script" not in await response.text()


@pytest.mark.parametrize("doubled", list(ASK))
async def test_a_handshake_that_says_something_twice_is_forbidden(
    world: World, doubled: str
) -> None:
    asked = [*ASK.items(), (doubled, ASK[doubled])]
    async with world.session.get("/api/webhook", params=asked) as response:
        assert response.status == 403


async def test_a_handshake_of_broken_utf8_is_forbidden(world: World) -> None:
    path = (
        b"GET /api/webhook?hub.mode=subscribe&hub.verify_token=%ff%fe&hub.challenge=1 HTTP/1.1\r\n"
    )
    assert status(await raw(world, path + b"Host: x\r\nConnection: close\r\n\r\n")) == 403


async def test_a_body_declared_too_large_is_refused_unread(world: World) -> None:
    started = time.monotonic()
    answer = await raw(world, post(b"", Content_Length="10000000000"))
    assert status(answer) == 413
    assert time.monotonic() - started < 2


async def test_a_chunked_body_is_refused_once_it_is_too_large(world: World) -> None:
    head = post(b"", Content_Length="", Transfer_Encoding="chunked")
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    assert status(await raw(world, head, *[chunk] * 12)) == 413
    assert await nothing_stored(world)


async def test_a_chunked_body_of_a_legal_size_is_taken(world: World) -> None:
    head = post(
        b"", Content_Length="", Transfer_Encoding="chunked", X_Hub_Signature_256=sign(BODY, SECRET)
    )
    assert status(await raw(world, head, b"1c\r\n" + BODY + b"\r\n0\r\n\r\n")) == 200
    assert [envelope.body for envelope in await world.in_redis()] == [BODY]


async def test_the_largest_legal_body_is_taken(world: World) -> None:
    assert (await world.post(b"x" * (8 << 20)))[0] == 200
    assert (await world.post(b"x" * ((8 << 20) + 1)))[0] == 413


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP", "gzip, identity"])
async def test_a_compressed_body_is_refused(world: World, encoding: str) -> None:
    assert status(await raw(world, post(gzip.compress(BODY), Content_Encoding=encoding))) == 415
    assert await nothing_stored(world)


async def test_a_compressed_bomb_is_not_inflated(world: World) -> None:
    """Nobody else waits while two gigabytes are refused."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    head, more = (
        packer.compress(bytes(64 << 20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)
    )
    bomb = head + more * 31
    sending = asyncio.create_task(raw(world, post(bomb, Content_Encoding="gzip")))
    slowest = 0.0
    while not sending.done():
        slowest = max(slowest, (await world.post(BODY))[1])
    assert status(await sending) == 415
    assert slowest < 0.8


async def test_a_body_that_does_not_arrive_is_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bodies, "seconds", 0.2)
    started = time.monotonic()
    assert await raw(world, post(BODY, Content_Length="1000")) == b""
    assert 0.15 < time.monotonic() - started < 2
    assert await nothing_stored(world)


async def test_a_body_that_trickles_is_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bodies, "seconds", 0.3)
    head = post(b"", Content_Length="1000")
    assert await raw(world, head, *[b"x"] * 50, pause=0.05) == b""


async def test_a_client_that_hangs_up_in_its_body_leaves_nothing_behind(world: World) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", world.ingress.ports[0])
    writer.write(post(BODY, Content_Length="1000"))
    await writer.drain()
    writer.transport.abort()
    assert (await world.post(BODY))[0] == 200
    assert len(await world.in_redis()) == 1

    async def released() -> bool:
        return _bodies(world)._bytes == 0

    await until(released)


async def test_bytes_beyond_the_declared_length_are_not_part_of_the_body(world: World) -> None:
    request = post(BODY, Connection="keep-alive")
    answer = await raw(world, request, b"SMUGGLED\r\n\r\n", pause=0.2)
    assert status(answer) == 200
    assert b" 400 " in answer
    assert [envelope.body for envelope in await world.in_redis()] == [BODY]


@pytest.mark.parametrize("stage", ["silent", "half a header", "trickle"])
async def test_a_connection_without_a_request_is_closed(
    world: World, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setattr(Listener, "idle_seconds", 0.3)
    parts = {
        "silent": [b""],
        "half a header": [b"POST /api/webhook HTTP/1.1\r\nHost: x\r\nX-A"],
        "trickle": [b"POST /api/webhook HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 20],
    }[stage]
    started = time.monotonic()
    assert await raw(world, *parts, pause=0.05) == b""
    assert time.monotonic() - started < 3


GARBAGE = {
    "noise": b"\x00\x01\x02\xff\xfe\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 100 + b"\r\n\r\n",
    "h2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two lengths": post(BODY, Content_Length=f"{len(BODY)}\r\nContent-Length: 0"),
    "length and chunks": post(BODY, Transfer_Encoding="chunked"),
    "negative length": post(BODY, Content_Length="-1"),
    "length of letters": post(BODY, Content_Length="ten"),
    "bad chunk": post(b"zz\r\nx\r\n", Content_Length="", Transfer_Encoding="chunked"),
    "huge header": post(BODY, X_Huge="x" * 100_000),
    "many headers": post(BODY, **{f"X{n}": "x" for n in range(500)}),
    "folded header": post(BODY, X_A="b\r\n c"),
    "nul in header": post(BODY, X_A="b\0c"),
    "space before colon": b"POST /api/webhook HTTP/1.1\r\nHost : x\r\n\r\n",
}


@pytest.mark.parametrize("name", list(GARBAGE))
async def test_what_is_no_http_is_a_bad_request_and_not_quoted(
    world: World, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await raw(world, GARBAGE[name])
    assert status(answer) == 400
    told = answer.split(b"\r\n\r\n", 1)[1]
    assert told == b"cut_off" or json.loads(told)["title"] == "Bad Request"
    assert b"xxxx" not in told
    assert b"Server: Pagewire\r\n" in answer
    assert await nothing_stored(world)
    assert "Traceback" not in caplog.text
    assert (await world.post(BODY))[0] == 200


async def test_a_client_that_does_not_wait_to_be_told_to_continue_is_no_error_of_ours(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.ingress.ports[0])
    writer.write(b"POST /api/webhook HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n")
    writer.write_eof()
    await reader.read()
    writer.close()
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_not_for_the_webhook(world: World, method: str) -> None:
    async with world.session.request(method, "/api/webhook") as response:
        assert response.status == 405


async def test_elsewhere_is_nothing(world: World) -> None:
    for path in ("/api/webhook/", "/api/webhookx", "/.env", "/%2e%2e/etc/passwd"):
        async with world.session.get(path) as response:
            assert response.status == 404


async def test_every_answer_is_from_the_same_server_and_has_an_id_of_its_own(world: World) -> None:
    seen = set()
    for path in ("/healthz", "/nowhere", "/api/webhook", "/readyz"):
        headers = {"X-Request-ID": "theirs"}
        async with world.session.get(path, headers=headers) as response:
            assert response.headers.getall("Server") == ["Pagewire"]
            seen.add(response.headers["X-Request-ID"])
    assert len(seen) == 4
    assert "theirs" not in seen


async def test_connections_beyond_the_cap_are_turned_away_and_others_do_not_notice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await world.post(BODY))[0] == 200
    monkeypatch.setattr(world.ingress._listeners[0], "most_connections", 3)
    port = world.ingress.ports[0]
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]

    async def full() -> bool:
        return len(world.ingress._listeners[0]._runner.server.connections) == 3

    await until(full)
    assert await raw(world, post(BODY)) == b""
    assert (await world.post(BODY))[0] == 200
    for _, writer in held:
        writer.transport.abort()

    async def room_again() -> bool:
        return status(await raw(world, post(BODY))) == 200

    await until(room_again)


async def test_bodies_in_memory_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bodies, "most", 1000)
    assert (await world.post(b"x" * 1001))[0] == 503
    assert (await world.post(b"x" * 1000))[0] == 200
    answer = await raw(world, post(b"x" * 2000, Content_Length="3000"))
    assert status(answer) == 503
    assert b"Retry-After: 1" in answer
    assert _bodies(world)._bytes == 0


async def test_alive_and_ready_are_told(world: World) -> None:
    async with world.session.get("/healthz") as response:
        assert response.status == 200
    assert await world.readiness() == {
        "ready": True,
        "durability": 0,  # the tests' Redis keeps nothing on disk
        "keepers": {"redis": True, "postgres": True},
    }


async def test_numbers_are_for_this_machine_alone_on_the_public_listener(world: World) -> None:
    await world.post(BODY)
    async with world.session.get("/metrics") as response:
        text = await response.text()
        assert response.status == 200
        assert 'pagewire_webhook_requests_total{answer="accepted"}' in text
        assert 'pagewire_webhook_signed_total{secret="0"}' in text
    for header in ("X-Forwarded-For", "Forwarded"):
        async with world.session.get("/metrics", headers={header: "1.2.3.4"}) as response:
            assert response.status == 404


async def test_nothing_a_stranger_sends_is_an_error_of_ours(world: World) -> None:
    """Random cuts and flips of a valid request are answered 2xx or 4xx, and the door stays open."""
    dice, valid = random.Random(7), post(BODY)
    for _ in range(150):
        request = bytearray(valid[: dice.randrange(1, len(valid) + 1)])
        for _ in range(dice.randrange(4)):
            request[dice.randrange(len(request))] = dice.randrange(256)
        reader, writer = await asyncio.open_connection("127.0.0.1", world.ingress.ports[0])
        writer.write(bytes(request))
        writer.write_eof()
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.transport.abort()
        assert status(answer) in {0, 200, 400, 401, 404, 405, 413, 415, 417, 429}, bytes(request)
    assert (await world.post(BODY))[0] == 200


def _bodies(world: World) -> Bodies:
    router = world.ingress._listeners[0]._runner.app.router
    for route in router.routes():
        if route.method == "POST" and route.resource.canonical == "/api/webhook":
            return route.handler.__self__._bodies
    raise AssertionError
