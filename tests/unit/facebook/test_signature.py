"""Who signed: only Facebook's own form of signature, over exactly the bytes that came."""

import base64
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.config import Secret
from shared.errors import Unreadable
from shared.facebook.signature import (
    SIGNED_REQUEST_LIFETIME,
    appsecret_proof,
    parse_signed_request,
    sign,
    verify,
)

ROOT = Path(__file__).parents[3]
PAYLOADS = Path(os.environ.get("PAGEWIRE_PAYLOADS", ROOT.parent / "shared" / "payloads"))
VECTORS = PAYLOADS / "vectors" / "signatures.json"

BODY = b'{"object":"page","entry":[]}'
OLD, NEW = Secret("the-old-secret"), Secret("the-new-secret")
ISSUED = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def test_the_secret_that_signed_is_told_by_its_place() -> None:
    assert verify(BODY, sign(BODY, OLD), [NEW, OLD]) == 1
    assert verify(BODY, sign(BODY, NEW), [NEW, OLD]) == 0
    assert verify(BODY, sign(BODY, NEW), [NEW, NEW]) == 0


def test_nobody_we_know_is_nobody() -> None:
    assert verify(BODY, sign(BODY, "another"), [NEW, OLD]) is None
    assert verify(BODY, sign(BODY, NEW), []) is None
    assert verify(BODY + b" ", sign(BODY, NEW), [NEW]) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda header: None,
        lambda header: "",
        lambda header: "sha256=",
        lambda header: header.upper(),
        lambda header: "sha256=" + header.removeprefix("sha256=").upper(),
        lambda header: header.removeprefix("sha256="),
        lambda header: header.replace("sha256=", "sha1="),
        lambda header: "sha1=3daa41999293ff66c3eb313e04bcf77861bb0276",
        lambda header: header[:-1],
        lambda header: header + "0",
        lambda header: header + "\n",
        lambda header: " " + header,
        lambda header: header[:-1] + "ä",
        lambda header: header[:-1] + "\udcff",
        lambda header: header[:-1] + "\u0661",
        lambda header: header[:-1] + "\0",
        lambda header: f"{header}, {header}",
    ],
)
def test_a_header_in_any_other_form_is_not_valid(spoil: Any) -> None:
    assert verify(BODY, spoil(sign(BODY, NEW)), [NEW]) is None


@pytest.mark.skipif(not VECTORS.exists(), reason=f"no vectors in {VECTORS.parent}")
def test_published_vectors_hold() -> None:
    for vector in json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]:
        secret = vector["app_secret"]
        if "appsecret_proof" in vector:
            assert appsecret_proof(vector["access_token"], secret) == vector["appsecret_proof"]
            continue
        valid = vector.get("expect") != "invalid"
        signer = verify(vector["body"].encode(), vector["x_hub_signature_256"], [OLD, secret])
        assert signer == (1 if valid else None), vector["what"]


def test_a_body_written_anew_no_longer_verifies() -> None:
    body = b'{"text":"\\u00e4 \\/ \\ud83d\\ude22"}'
    assert verify(json.dumps(json.loads(body)).encode(), sign(body, NEW), [NEW]) is None


def signed_request(secret: str = NEW, **changed: Any) -> str:
    told = {"algorithm": "HMAC-SHA256", "user_id": "218471", "issued_at": int(ISSUED.timestamp())}
    payload = encoded(json.dumps(told | changed).encode())
    return f"{encoded(bytes.fromhex(sign(payload.encode(), secret)[7:]))}.{payload}"


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def test_a_callback_signed_with_any_of_our_secrets_is_read() -> None:
    for secret in (NEW, OLD):
        request = parse_signed_request(signed_request(secret), [NEW, OLD], ISSUED)
        assert (request.user_id, request.issued_at) == ("218471", int(ISSUED.timestamp()))


def test_a_callback_may_be_padded() -> None:
    signature, payload = signed_request().split(".")
    padded = signature + "=" * (-len(signature) % 4)
    assert parse_signed_request(f"{padded}.{payload}", [NEW], ISSUED).user_id == "218471"


@pytest.mark.parametrize(
    "request_",
    [
        "",
        ".",
        "a.b",
        "no dot",
        signed_request().split(".")[0] + ".",
        "." + signed_request().split(".")[1],
        signed_request()[:-2],
        signed_request("another secret"),
        signed_request() + "ä",
        signed_request(algorithm="none"),
        signed_request(user_id=None),
        signed_request(issued_at="now"),
        encoded(bytes.fromhex(sign(b"W10", NEW)[7:])) + ".W10",
        signed_request().replace(".", "!."),
    ],
)
def test_a_callback_that_is_not_facebooks_is_refused(request_: str) -> None:
    with pytest.raises(Unreadable):
        parse_signed_request(request_, [NEW, OLD], ISSUED)


def test_an_old_callback_is_refused_so_that_nobody_can_play_it_again() -> None:
    late = ISSUED + SIGNED_REQUEST_LIFETIME
    assert parse_signed_request(signed_request(), [NEW], late).user_id == "218471"
    for now in (late + timedelta(seconds=1), ISSUED - SIGNED_REQUEST_LIFETIME * 2):
        with pytest.raises(Unreadable):
            parse_signed_request(signed_request(), [NEW], now)
