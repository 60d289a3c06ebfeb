"""Facebook's deauthorize and data-deletion callbacks: in the backlog before they are answered.

https://developers.facebook.com/docs/development/create-an-app/app-dashboard/data-deletion-callback
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import parse_qs

from aiohttp import web

from ingress.webhook.body import Bodies, Refused
from ingress.webhook.intake import Intake
from ingress.webhook.receive import refusal
from shared import metrics
from shared.backlog.envelope import confirmation_code
from shared.errors import Unreadable
from shared.facebook.signature import parse_signed_request


class Callback:
    """Answers one of the two callbacks. The envelope's body is the `signed_request` as it came."""

    def __init__(
        self,
        kind: Literal["deauthorize", "data_deletion"],
        intake: Intake,
        bodies: Bodies,
        secrets: Sequence[str],
    ) -> None:
        self._kind = kind
        self._intake = intake
        self._bodies = bodies
        self._secrets = secrets

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        try:
            body = await self._bodies.read(request)
            try:
                signed_request = self._check(body)
                if not await self._intake.put(self._kind, signed_request):
                    raise Refused(503, "not_durable")
            finally:
                self._bodies.release(body)
        except Refused as refused:
            return refusal(refused)
        metrics.webhook_requests.labels(self._kind).inc()
        if self._kind == "deauthorize":
            return web.Response()
        code = confirmation_code(signed_request)
        # The way Facebook came, which is always TLS to the outside.
        url = f"https://{request.host}/api/webhook/data-deletion/{code}"
        return web.json_response({"url": url, "confirmation_code": code})

    def _check(self, body: bytes) -> bytes:
        """Return the `signed_request` of a form; raises Refused unless our app signed it."""
        try:
            form = parse_qs(body.decode("ascii"), max_num_fields=16)
            [signed_request] = form["signed_request"]
        except (ValueError, KeyError):
            raise Refused(400, "no_signed_request") from None
        try:
            parse_signed_request(signed_request, self._secrets, datetime.now(UTC))
        except Unreadable:
            raise Refused(401, "signed_request_wrong") from None
        return signed_request.encode()
