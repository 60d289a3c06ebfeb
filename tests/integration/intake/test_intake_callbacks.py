"""Facebook's deauthorize and data-deletion callbacks."""

import base64
import hmac
import json
import time

import pytest

from shared.backlog.envelope import confirmation_code
from tests.integration.intake.intake_world import SECRET, Gated, World


def signed_request(secret: str = SECRET, **changes: object) -> str:
    payload = {"algorithm": "HMAC-SHA256", "user_id": "218471", "issued_at": int(time.time())}
    encoded = base64.urlsafe_b64encode(json.dumps(payload | changes).encode()).rstrip(b"=")
    digest = hmac.digest(secret.encode(), encoded, "sha256")
    return f"{base64.urlsafe_b64encode(digest).decode().rstrip('=')}.{encoded.decode()}"


async def test_a_deauthorization_is_durable_before_it_is_answered(world: World) -> None:
    request = signed_request()
    async with world.session.post(
        "/api/webhook/deauthorize", data={"signed_request": request}
    ) as response:
        assert response.status == 200
    (envelope,) = await world.in_redis()
    assert (envelope.kind, envelope.body) == ("deauthorize", request.encode())


async def test_a_deletion_request_is_answered_with_where_to_ask_about_it(world: World) -> None:
    request = signed_request("another-secret")
    for _ in range(2):
        async with world.session.post(
            "/api/webhook/data-deletion",
            data={"signed_request": request},
            headers={"Host": "door.example"},
        ) as response:
            answer = await response.json()
            assert response.status == 200
        code = confirmation_code(request.encode())
        assert answer == {
            "url": f"https://door.example/api/webhook/data-deletion/{code}",
            "confirmation_code": code,
        }
    assert {(e.kind, e.body) for e in await world.in_redis()} == {
        ("data_deletion", request.encode())
    }


WRONG: dict[str, tuple[dict[str, str] | bytes, int]] = {
    "signed by another app": ({"signed_request": signed_request("unknown")}, 401),
    "cut short": ({"signed_request": signed_request()[:-2]}, 401),
    "signature changed": ({"signed_request": "A" * 43 + signed_request()[43:]}, 401),
    "no dot": ({"signed_request": "no-dot"}, 401),
    "not ascii": ({"signed_request": "é.é"}, 401),
    "no algorithm": ({"signed_request": signed_request(algorithm="none")}, 401),
    "years old": ({"signed_request": signed_request(issued_at=0)}, 401),
    "another field": ({"something": "else"}, 400),
    "empty": ({}, 400),
    "no form": (b"\xff\xfe", 400),
    "twice": (b"signed_request=a&signed_request=b", 400),
    "many fields": (b"&".join([b"a=b"] * 100), 400),
}


@pytest.mark.parametrize("wrong", list(WRONG))
@pytest.mark.parametrize("name", ["deauthorize", "data-deletion"])
async def test_what_our_app_did_not_sign_is_refused(world: World, name: str, wrong: str) -> None:
    form, status = WRONG[wrong]
    async with world.session.post(f"/api/webhook/{name}", data=form) as response:
        assert response.status == status
    assert await world.in_redis() == []


async def test_a_request_that_cannot_be_kept_is_not_confirmed(gated: Gated) -> None:
    await gated.start()
    for gate in (gated.redis_gate, gated.postgres_gate):
        await gate.shut()
    async with gated.session.post(
        "/api/webhook/data-deletion", data={"signed_request": signed_request()}
    ) as response:
        assert response.status == 503
        assert "confirmation_code" not in await response.text()
