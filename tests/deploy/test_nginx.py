"""Real nginx, as deploy/nginx configures it, before a real ingress and a real API."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from deploy.local import ports
from tests.deploy.front import PRIVATE, PUBLIC, Front, needs_nginx
from tests.stack import Stack, sign

pytestmark = needs_nginx


@pytest.fixture
async def stack(database: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    """An ingress and an API, each on its own."""
    stack = Stack(database, redis_url, tmp_path)
    stack.ingress = stack.process("ingress", "ingress", "--only", "webhook")
    api_port = str(ports.any_free("127.0.0.1"))
    # Not a worker, but the second process a stack starts and stops.
    stack.worker = stack.process("api", "ingress", "--only", "api", INGRESS_PORT=api_port)
    try:
        await stack.start()
        await stack.until(lambda: _accepts(int(api_port)))
        stack.environment["API"] = api_port
        yield stack
    finally:
        await stack.close()


async def _accepts(port: int) -> bool:
    return ports.accepts("127.0.0.1", port)


async def test_facebook_reaches_its_webhook_and_people_their_pages_and_nobody_else_anything(
    stack: Stack, tmp_path: Path
):
    folder = tmp_path / "nginx"
    folder.mkdir()
    front = Front(folder, [stack.port], int(stack.environment["API"]))
    async with front.running() as session:
        await _facebook(front, session)
        await _strangers(front, session)
        key = (await stack.command("key", "create", "--scope", "read"))["key"]
        await _people(front, session, key)


async def _facebook(front: Front, session: aiohttp.ClientSession) -> None:
    url = front.url(PUBLIC, "/api/webhook")

    async def post(body: bytes) -> int:
        headers = {"X-Hub-Signature-256": sign(body)}
        async with session.post(url, data=io.BytesIO(body), headers=headers) as answer:
            return answer.status

    assert await post(b'{"object": "page", "entry": []}') == 200
    # Just within the limit: its bytes arrive as they were signed.
    assert await post(b'{"object": "page", "pad": "%s"}' % (b"x" * (8 << 20))[:-64]) == 200
    with contextlib.suppress(aiohttp.ClientOSError):  # refused before all of it was sent
        assert await post(b"x" * ((8 << 20) + 1)) == 413
    async with session.get(url, params={"hub.mode": "subscribe"}) as answer:
        assert answer.status == 403
    async with session.post(url + "/deauthorize", data={"signed_request": "x.y"}) as answer:
        assert answer.status == 401


async def _strangers(front: Front, session: aiohttp.ClientSession) -> None:
    for path in ("/", "/api/conversations", "/inbox", "/metrics", "/readyz", "/api/webhooks"):
        async with session.get(front.url(PUBLIC, path)) as answer:
            assert answer.status == 404, path
    for path in ("/metrics", "/healthz", "/readyz"):
        async with session.get(front.url(PRIVATE, path)) as answer:
            assert answer.status == 404, path
    with pytest.raises(aiohttp.ClientConnectorError):
        await session.get(front.url("another.example.com", "/"))


async def _people(front: Front, session: aiohttp.ClientSession, key: str) -> None:
    url, bearer = front.url(PRIVATE, "/api"), {"Authorization": f"Bearer {key}"}
    async with session.get(url + "/conversations") as answer:
        assert answer.status == 401
    async with session.get(url + "/conversations", headers=bearer) as answer:
        assert answer.status == 200
        assert answer.headers["Strict-Transport-Security"]
    origin = {"Origin": f"https://{PRIVATE}"}  # as a browser says it of port 443
    async with session.post(url + "/session", json={"key": key}, headers=origin) as answer:
        assert answer.status == 204, await answer.text()
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-"), "the API does not know that people came over TLS"
        assert "Secure" in cookie
    # The feed's first words come at once, though the stream stays open.
    async with asyncio.timeout(30), session.get(url + "/live", headers=bearer) as feed:
        assert (await feed.content.readline()).startswith(b"retry:")
