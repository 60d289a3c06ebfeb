"""The limit of an aiohttp ingress: read the body, check the signature, answer."""

from aiohttp import web

from tests.bench.peers.common import PORT, is_signed


async def receive(request: web.Request) -> web.Response:
    body = await request.read()
    signed = is_signed(body, request.headers.get("X-Hub-Signature-256", ""))
    return web.Response(status=200 if signed else 403)


def main() -> None:
    app = web.Application()
    app.router.add_post("/api/webhook", receive)
    web.run_app(app, host="127.0.0.1", port=PORT, access_log=None, print=None)


if __name__ == "__main__":
    main()
