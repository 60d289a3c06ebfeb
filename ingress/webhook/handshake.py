"""Facebook's verification of the webhook address.

https://developers.facebook.com/docs/graph-api/webhooks/getting-started#verification-requests
"""

import hmac
import re

from aiohttp import web

# Documented as a number; echoed as text, so nothing that could become markup or a header.
_CHALLENGE = re.compile(r"[\w.-]{1,128}", re.ASCII)


class Handshake:
    """Answers `GET /api/webhook`: the challenge to whoever knows the verify token, else 403."""

    def __init__(self, verify_token: str) -> None:
        self._token = verify_token.encode()

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        token = _only(request, "hub.verify_token").encode("utf-8", "surrogatepass")
        challenge = _only(request, "hub.challenge")
        if (
            not hmac.compare_digest(token, self._token)
            or _only(request, "hub.mode") != "subscribe"
            or not _CHALLENGE.fullmatch(challenge)
        ):
            raise web.HTTPForbidden
        return web.Response(
            text=challenge,
            content_type="text/plain",
            headers={"X-Content-Type-Options": "nosniff"},
        )


def _only(request: web.Request, name: str) -> str:
    """Return a query parameter that was given exactly once, else nothing."""
    values = request.query.getall(name, [])
    return values[0] if len(values) == 1 else ""
