"""Every body the outside world has published becomes what its file's name says it is."""

import json
import os
import re
from pathlib import Path

import pytest

from shared.events import Item, Message, Notice, Rejected
from shared.facebook.webhook.body import parse

NOW = 1790000000000
ROOT = Path(__file__).parents[3]
PAYLOADS = Path(os.environ.get("PAGEWIRE_PAYLOADS", ROOT.parent / "shared" / "payloads"))

# The first rule that matches a file's name tells what each of its items becomes.
RULES = {
    r"meta-docs/batch-.*": "in in",
    r"meta-docs/changes-inbox-labels-add": "Label",
    r"meta-docs/changes-inbox-labels-minimal": "test:inbox_labels",
    r"meta-docs/changes-template-status": "changes:message_template_status_update",
    r"meta-docs/(ig-)?changes-(\w+).*": r"changes:\2",
    r"meta-docs/dashboard-test-changes-messages": "test:messages",
    r"meta-docs/dashboard-test-changes-postbacks": "test:messaging_postbacks",
    r"meta-docs/no-include-values-changed-fields": "changed_fields",
    r"restfb/feed-two-entries-25": "changes:parking changes:payment_options",
    r"restfb/(feed|leadgen|mention|ratings)\b.*": r"changes:\1",
    r"restfb/ig-wh-comments.*": "test:comments",
    r"restfb/ig-wh-livecomments": "test:live_comments",
    r"restfb/ig-wh-(\w+)": r"test:\1",
    r"restfb/unknown-change-value": "changes:foo",
    r"restfb/(user|permission)-.*": "unknown_object",
    r"restfb/messaging-postback-chat": "postback",
    r".*/(ig-)?(messaging-)?account-?linking-.*": "account_linking",
    r".*/(ig-)?(messaging-)?(handover-)?app-?roles": "app_roles",
    r".*/(ig-)?(messaging-)?(handover-)?(pass|take|request)(-.*)?": r"\4_thread_control",
    r".*/(messaging-)?policy-.*": "policy_enforcement",
    r".*/(messaging-)?checkoutupdate.*": "checkout_update",
    r".*/(messaging-)?payment": "payment",
    r".*/messaging-feedback": "messaging_feedback",
    r".*/response-feedback": "response_feedback",
    r".*/game-play": "game_play",
    r".*/(messaging-)?optin.*": "optin",
    r".*/(ig-)?(messaging-)?referral.*": "referral",
    r".*/(ig-)?(messaging-)?(message-)?edits?": "Edit",
    r".*/(ig-)?(messaging-)?message-(unsend|isdeleted)": "Unsend",
    r".*/(ig-)?(messaging-)?message-(is)?unsupported": "unsupported",
    r".*/(ig-)?(messaging-)?reaction.*": "Reaction",
    r".*/(ig-)?(messaging-)?(read|seen).*": "Read",
    r".*/(messaging-)?delivery.*": "Delivery",
    r".*/(ig-)?(messaging-|standby-)?postback.*": "postback-message",
    r".*/((ig-)?(messaging-|standby-)?(message-)?)?(basic-)?echo.*": "out",
    r".*/(ig-)?(messaging-|standby-)?message.*": "in",
    r".*/ig-standby": "in",
    r"restfb/(ig-)?messaging-(attachment|button|airline).*": "in",
}


def bodies() -> list[Path]:
    return [
        path
        for folder in ("meta-docs", "restfb")
        for path in sorted((PAYLOADS / folder).glob("*.json"))
    ]


def expected(path: Path) -> list[str]:
    name = f"{path.parent.name}/{path.stem}"
    for rule, words in RULES.items():
        if match := re.fullmatch(rule, name):
            return match.expand(words).split()
    return []


def word(result: Item | Rejected) -> str:
    """What an item became, in the rules' words."""
    if isinstance(result, Rejected):
        return result.reason
    (event,) = result.events
    if isinstance(event, Notice):
        assert event.understood
        return event.kind
    if not isinstance(event, Message):
        return type(event).__name__
    if event.kind == "message":
        return event.direction
    return "postback-message" if event.kind == "postback" else event.kind


pytestmark = pytest.mark.skipif(not bodies(), reason=f"no bodies in {PAYLOADS}")


@pytest.mark.parametrize("path", bodies(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_published_body_becomes_what_its_name_says(path: Path) -> None:
    assert [word(result) for result in parse(path.read_bytes(), NOW)] == expected(path)


@pytest.mark.parametrize("path", bodies(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_published_body_reads_the_same_however_it_is_written(path: Path) -> None:
    told = json.loads(path.read_bytes())
    results = parse(path.read_bytes(), NOW)
    for again in (
        json.dumps(told, separators=(",", ":")).encode(),
        json.dumps(told, separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode(),
        json.dumps(told).replace("/", "\\/").encode(),
    ):
        read = parse(again, NOW)
        assert [word(one) for one in read] == [word(one) for one in results]
        for one, other in zip(read, results, strict=True):
            if isinstance(one, Item) and isinstance(other, Item):
                assert (one.identity, one.events) == (other.identity, other.events)


def test_published_bodies_in_one_delivery_read_as_they_do_alone() -> None:
    for name in ("page", "instagram"):
        told = [json.loads(path.read_bytes()) for path in bodies()]
        told = [one for one in told if one["object"] == name]
        alone = [item for one in told for item in parse(json.dumps(one).encode(), NOW)]
        together = {"object": name, "entry": [entry for one in told for entry in one["entry"]]}
        read = parse(json.dumps(together, separators=(",", ":")).encode(), NOW)
        assert [one.events for one in read if isinstance(one, Item)] == [
            one.events for one in alone if isinstance(one, Item)
        ]


def test_a_published_body_cut_or_damaged_anywhere_is_answered_for() -> None:
    for path in bodies()[::3]:
        body = json.dumps(json.loads(path.read_bytes()), separators=(",", ":")).encode()
        for at in range(0, len(body), 7):
            for damaged in (body[:at], body[:at] + body[at + 1 :], body[:at] + b'"' + body[at:]):
                results = parse(damaged, NOW)
                assert results
                assert all(result.raw for result in results) or not damaged
