"""Bodies that Facebook sends now and then, and that no change of the truth brings about.

https://developers.facebook.com/docs/graph-api/webhooks/getting-started
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from deploy.simulator.truth import Page

Json: TypeAlias = dict[str, Any]


def _page(page: Page, now_ms: int, **entry: Any) -> Json:
    return {"object": "page", "entry": [{"id": page.id, "time": now_ms, **entry}]}


def all_of(page: Page, now_ms: int) -> Mapping[str, Json]:
    """Return every odd body by name, as one for this Page would be."""
    between = {"sender": {"id": "7392015648120394"}, "recipient": {"id": page.id}}
    at = {**between, "timestamp": now_ms}
    seconds = now_ms // 1000
    test_message = {
        "sender": {"id": "12334"},
        "recipient": {"id": "23245"},
        "timestamp": str(seconds),
        "message": {"mid": "test_message_id", "text": "test_message"},
    }
    return {
        "empty_entry": _page(page, now_ms),
        "no_entries": {"object": "page", "entry": []},
        "dashboard_test": {
            "object": "page",
            "entry": [
                {
                    "id": "0",
                    "time": seconds,
                    "changes": [{"field": "messages", "value": test_message}],
                }
            ],
        },
        "no_value": _page(page, seconds, changes=[{"field": "inbox_labels"}]),
        "changed_fields": _page(page, seconds, changed_fields=["feed"]),
        "unknown_key": _page(page, now_ms, messaging=[{**at, "message_hologram": {"depth": 3}}]),
        "unknown_object": {
            "object": "whatsapp_business_account",
            "entry": [{"id": "1", "changes": []}],
        },
        "unknown_page": {
            "object": "page",
            "entry": [{"id": "999000111222333", "time": now_ms, "messaging": [at]}],
        },
        "policy_enforcement": _page(
            page,
            now_ms,
            messaging=[
                {
                    "recipient": {"id": page.id},
                    "timestamp": now_ms,
                    "policy_enforcement": {"action": "warning", "reason": "Spam"},
                }
            ],
        ),
        "guest_postback": _page(
            page,
            now_ms,
            messaging=[
                {
                    "sender": {"user_ref": "guest-1"},
                    "recipient": {"id": page.id},
                    "timestamp": now_ms,
                    "postback": {"title": "Get Started", "payload": "START"},
                }
            ],
        ),
        "handover": _page(
            page,
            now_ms,
            messaging=[
                {
                    **at,
                    "pass_thread_control": {"new_owner_app_id": 123456789, "metadata": "x"},
                }
            ],
        ),
        "feed": _page(
            page,
            seconds,
            changes=[{"field": "feed", "value": {"item": "like", "verb": "add"}}],
        ),
    }
