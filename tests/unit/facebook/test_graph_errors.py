"""The error table: what each answer of Graph asks us to do."""

import json
from pathlib import Path

import pytest

from shared.facebook.graph import requests
from shared.facebook.graph.errors import (
    Broken,
    LabelsOff,
    ObjectUnreadable,
    ParkPage,
    PauseApp,
    RestartWalk,
    Retry,
    SetAside,
    Shrink,
    Snooze,
    judge,
)

PAYLOADS = Path(__file__).parents[4] / "shared" / "payloads" / "meta-docs-graph"

SLICE = requests.conversations("102", platform="messenger", limit=50, messages=25)
NEXT_SLICE = requests.conversations("102", platform="messenger", limit=50, messages=25, after="A")
SPAM = requests.conversations("102", platform="messenger", limit=5, messages=5, folder="spam")
INSTAGRAM = requests.conversations("102", platform="instagram", limit=50, messages=20)
THREAD = requests.messages("t_1", platform="messenger", limit=50)
MESSAGE = requests.message("m_1", platform="instagram")
PERSON = requests.profile("7", platform="messenger")
LABELS = requests.person_labels("7")


def error(code, subcode=None, transient=None, message="(#1) something", **more) -> bytes:
    told = {"message": message, "type": "OAuthException", "code": code, **more}
    if subcode is not None:
        told["error_subcode"] = subcode
    if transient is not None:
        told["is_transient"] = transient
    return json.dumps({"error": told}).encode()


def verdict(request, status, body):
    told = judge(request, status, body)
    return None if told is None else type(told)


@pytest.mark.parametrize("body", [b'{"data":[]}', b"[]", b'{"error":null}', b' {"id":"1"}'])
def test_a_good_answer_asks_nothing(body):
    assert judge(SLICE, 200, body) is None


@pytest.mark.parametrize(
    ("status", "code", "subcode", "transient", "expected"),
    [
        (500, 1, None, None, Retry),
        (400, 1, None, False, Broken),
        (500, 1, 99, None, Shrink),
        (500, 2, None, None, Retry),
        (503, 2, None, True, Retry),
        (400, 2, None, False, Broken),
        (400, 2, 2018344, False, LabelsOff),
        (400, 3, None, None, ParkPage),
        (403, 4, None, True, PauseApp),
        (403, 10, 2018336, None, ParkPage),
        (400, 17, 2446079, True, Snooze),
        (403, 32, None, None, Snooze),
        (400, 100, None, None, Broken),
        (400, 100, 33, None, ParkPage),
        (400, 102, None, None, ParkPage),
        (400, 104, None, None, Broken),
        (400, 190, None, None, ParkPage),
        (401, 190, 460, None, ParkPage),
        (400, 190, 9999, None, ParkPage),
        (403, 200, None, None, ParkPage),
        (403, 299, None, None, ParkPage),
        (403, 341, None, None, PauseApp),
        (400, 368, None, None, Snooze),
        (400, 613, None, None, Snooze),
        (400, 613, 1996, None, Snooze),
        (400, 2500, None, None, Broken),
        (400, 80001, None, None, Snooze),
        (400, 80002, None, None, Snooze),
        (400, 80006, None, False, Snooze),
        (400, 31337, None, None, Broken),
        (500, 31337, None, None, Retry),
        (500, 31337, None, False, Broken),
        (400, 31337, None, True, Retry),
    ],
)
def test_a_slice_of_conversations(status, code, subcode, transient, expected):
    assert verdict(SLICE, status, error(code, subcode, transient)) is expected


@pytest.mark.parametrize(
    ("request_", "code", "subcode", "expected"),
    [
        (NEXT_SLICE, 100, None, RestartWalk),
        (NEXT_SLICE, 2642, None, RestartWalk),
        (NEXT_SLICE, 190, None, ParkPage),
        (SPAM, 100, None, SetAside),
        (SPAM, 200, None, SetAside),
        (INSTAGRAM, 200, 2534041, SetAside),
        (INSTAGRAM, 100, 2534013, SetAside),
        (INSTAGRAM, 10, 2534077, SetAside),
        (INSTAGRAM, 190, 463, ParkPage),
        (THREAD, 100, 33, ObjectUnreadable),
        (THREAD, 9000001, None, ObjectUnreadable),
        (THREAD, 200, None, ParkPage),
        (THREAD, 200, 2534041, SetAside),
        (MESSAGE, 9000001, None, ObjectUnreadable),
        (MESSAGE, 803, None, ObjectUnreadable),
        (PERSON, 230, None, ObjectUnreadable),
        (PERSON, 2018218, None, ObjectUnreadable),
        (PERSON, 100, 33, ObjectUnreadable),
        (PERSON, 100, 2018247, ObjectUnreadable),
        (PERSON, 190, 492, ParkPage),
        (LABELS, 200, None, LabelsOff),
        (LABELS, 2, 2018344, LabelsOff),
        (LABELS, 100, 2018001, ObjectUnreadable),
    ],
)
def test_a_refusal_concerns_no_more_than_what_was_asked_for(request_, code, subcode, expected):
    assert verdict(request_, 400, error(code, subcode)) is expected


@pytest.mark.parametrize(
    "told",
    [
        {"message": "Please reduce the amount of data you're asking for, then retry"},
        {"error_user_msg": "Please reduce the amount of data you're asking for"},
    ],
)
def test_reduce_the_amount_is_known_by_its_words_alone(told):
    assert verdict(SLICE, 500, error(1, **{"message": "?", **told})) is Shrink


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (503, b"<!DOCTYPE html><html>Sorry, something went wrong.</html>", Retry),
        (502, b"", Retry),
        (200, b"", Retry),
        (200, b"Service Unavailable", Retry),
        (200, b'{"data":[{"id":"t_1"', Retry),
        (302, b"", Retry),
        (404, b"<html>", Retry),
        (400, b"{}", Broken),
        (429, b"", Snooze),
        (500, b'{"error":"boom"}', Retry),
        (400, b'{"error":"boom"}', Broken),
        (200, b"{" * 100_000, Retry),
    ],
)
def test_answers_that_are_no_error_objects(status, body, expected):
    assert verdict(SLICE, status, body) is expected


def test_an_error_under_status_200_is_an_error():
    assert verdict(SLICE, 200, error(190, 463)) is ParkPage


def test_a_verdict_never_quotes_facebook():
    told = judge(SLICE, 400, error(190, message="Malformed access token EAABsecret"))
    assert "EAAB" not in repr(told)
    assert told.code == "190"


@pytest.mark.parametrize(
    ("name", "request_", "status", "expected"),
    [
        ("error-1-99-reduce", SLICE, 500, Shrink),
        ("error-1-reduce", SLICE, 500, Shrink),
        ("error-17-2446079", SLICE, 400, Snooze),
        ("error-190-460", SLICE, 400, ParkPage),
        ("error-2-2018344", LABELS, 400, LabelsOff),
        ("error-32", SLICE, 403, Snooze),
        ("error-80001", SLICE, 400, Snooze),
        ("error-80006", SLICE, 400, Snooze),
        ("error-9000001", MESSAGE, 400, ObjectUnreadable),
    ],
)
def test_bodies_seen_in_public(name, request_, status, expected):
    path = PAYLOADS / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    assert verdict(request_, status, path.read_bytes()) is expected
