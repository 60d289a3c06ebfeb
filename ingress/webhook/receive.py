"""Takes what Facebook posts: checks who signed it, makes it durable, and only then says so.

Nothing is parsed here. https://developers.facebook.com/docs/messenger-platform/webhooks
"""

import time
from collections.abc import Sequence

from aiohttp import web

from ingress.webhook.body import Bodies, Refused
from ingress.webhook.intake import Intake
from ingress.webhook.strangers import Strangers
from shared import log, metrics
from shared.facebook.signature import verify

_log = log.get(__name__)

_SIGNATURE = "X-Hub-Signature-256"
_TEXT = {"Content-Type": "text/plain; charset=utf-8"}
_AGAIN = {**_TEXT, "Retry-After": "1"}
_TELL_EVERY = 10.0  # seconds between two log lines about signatures


class Receiver:
    """Answers `POST /api/webhook`: 200 once the body is durable, never before."""

    def __init__(self, intake: Intake, bodies: Bodies, secrets: Sequence[str]) -> None:
        self._intake = intake
        self._bodies = bodies
        self._secrets = secrets
        self._accepted = metrics.webhook_requests.labels("accepted")
        self._signed = [metrics.webhook_signed.labels(str(n)) for n in range(len(secrets))]
        self._strangers = Strangers()
        self._unsigned = 0
        self._told = 0.0

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        started = time.perf_counter()
        try:
            body = await self._bodies.read(request)
            try:
                self._check(body, request)
                if not await self._intake.put("webhook", body):
                    raise Refused(503, "not_durable")
            finally:
                self._bodies.release(body)
        except Refused as refused:
            return refusal(refused)
        self._accepted.inc()
        metrics.webhook_seconds.observe(time.perf_counter() - started)
        return web.Response(body=b"EVENT_RECEIVED", headers=_TEXT)

    def _check(self, body: bytes, request: web.Request) -> None:
        """Raise Refused unless the one signature is by one of our secrets."""
        signatures = request.headers.getall(_SIGNATURE, [])
        if len(signatures) == 1:
            signer = verify(body, signatures[0], self._secrets)
            if signer is not None:
                self._signed[signer].inc()
                return
        reason = _what_is_wrong(signatures)
        too_many = self._strangers.too_many(request.remote or "")
        self._unsigned += 1
        now = time.monotonic()
        if now - self._told > _TELL_EVERY:
            _log.warning(
                "signature_failed",
                reason=reason,
                requests=self._unsigned,
                mostly_from=self._strangers.busiest(),
            )
            self._told, self._unsigned = now, 0
        raise Refused(429, "signature_flood") if too_many else Refused(401, reason)


def refusal(refused: Refused) -> web.Response:
    """Return the answer to a refused request, counted."""
    metrics.webhook_requests.labels(refused.reason).inc()
    headers = _AGAIN if refused.status == 503 else _TEXT
    answer = web.Response(status=refused.status, text=refused.reason, headers=headers)
    if refused.status == 429:
        # Every further try costs a connection.
        answer.force_close()
    return answer


def _what_is_wrong(signatures: list[str]) -> str:
    if not signatures:
        return "signature_missing"
    if len(signatures) > 1 or not signatures[0].startswith("sha256=") or len(signatures[0]) != 71:
        return "signature_malformed"
    return "signature_wrong"
