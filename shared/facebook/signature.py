"""Who signed: Facebook's webhooks, its callbacks, and our own calls to Graph.

https://developers.facebook.com/docs/messenger-platform/webhooks#validate-payloads
"""

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from shared.errors import Unreadable

_HEADER = re.compile(r"sha256=[0-9a-f]{64}", re.ASCII)

SIGNED_REQUEST_LIFETIME = timedelta(hours=36)
"""As long as Facebook may go on sending what was not acknowledged; later it is somebody's copy."""


class SignedRequest(Struct, frozen=True):
    """What a deauthorize or data-deletion callback says; `user_id` is app-scoped, not a PSID."""

    algorithm: str
    user_id: str
    issued_at: int


def sign(body: bytes, secret: str) -> str:
    """Return the `X-Hub-Signature-256` header of a body: `sha256=` and 64 lower-case digits."""
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()


def verify(body: bytes, header: str | None, secrets: Sequence[str]) -> int | None:
    """Return which of `secrets` signed these raw bytes, or `None`: nobody we know.

    Facebook signs what it sends, escapes included: parse and write it again, and it no longer
    verifies. A header that is missing or not in Facebook's form is simply not valid. Every
    secret is tried, so that the time taken tells nothing.
    """
    if header is None or not _HEADER.fullmatch(header):
        return None
    return _signer(bytes.fromhex(header.removeprefix("sha256=")), body, secrets)


def _signer(digest: bytes, signed: bytes, secrets: Sequence[str]) -> int | None:
    signer = None
    for index, secret in enumerate(secrets):
        if hmac.compare_digest(digest, hmac.digest(secret.encode(), signed, "sha256")):
            signer = index if signer is None else signer
    return signer


def appsecret_proof(token: str, secret: str) -> str:
    """Return the proof Graph wants beside a token.

    https://developers.facebook.com/docs/graph-api/guides/secure-requests
    """
    return hmac.digest(secret.encode(), token.encode(), "sha256").hex()


def parse_signed_request(
    signed_request: str, secrets: Sequence[str], now: datetime
) -> SignedRequest:
    """Check and read the `signed_request` of a deauthorize or data-deletion callback.

    The signature is over the encoded payload, not over what it decodes to. Raises `Unreadable`
    when it is malformed, signed by nobody we know, or older than `SIGNED_REQUEST_LIFETIME`.
    https://developers.facebook.com/docs/development/create-an-app/app-dashboard/data-deletion-callback
    """
    signature, dot, payload = signed_request.partition(".")
    try:
        digest, signed = _from_base64(signature), payload.encode("ascii")
    except ValueError as error:
        raise Unreadable("the signed request is malformed") from error
    # Nothing that a stranger sends is parsed.
    if _signer(digest, signed, secrets) is None:
        raise Unreadable("the signed request carries no signature of this app")
    request = read_signed_request(signed_request)
    if not dot or request.algorithm.upper() != "HMAC-SHA256":
        raise Unreadable("the signed request is not signed with HMAC-SHA256")
    if abs(now.timestamp() - request.issued_at) > SIGNED_REQUEST_LIFETIME.total_seconds():
        raise Unreadable("the signed request is too old")
    return request


def read_signed_request(signed_request: str) -> SignedRequest:
    """Read a `signed_request` whose signature was checked before; raises Unreadable."""
    try:
        payload = _from_base64(signed_request.partition(".")[2])
        return msgspec.json.decode(payload, type=SignedRequest)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise Unreadable("the signed request is malformed") from error


def _from_base64(text: str) -> bytes:
    """Decode URL-safe base64; Facebook leaves the padding out."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
