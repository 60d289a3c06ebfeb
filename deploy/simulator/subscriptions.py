"""Who gets webhooks: the app's callback for each kind of object, and each Page's fields.

https://developers.facebook.com/docs/graph-api/webhooks/getting-started
https://developers.facebook.com/docs/messenger-platform/webhooks
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from deploy.simulator import errors
from deploy.simulator.config import Config
from deploy.simulator.truth import Page

FIELDS = frozenset({
    "messages", "message_echoes", "message_edits", "message_reads", "message_deliveries",
    "message_reactions", "messaging_postbacks", "messaging_referrals", "messaging_optins",
    "messaging_handovers", "standby", "messaging_policy_enforcement", "messaging_account_linking",
    "messaging_feedback", "messaging_game_plays", "messaging_customer_information",
    "messaging_optouts", "messaging_payments", "messaging_pre_checkouts",
    "messaging_checkout_updates", "message_context", "message_mention", "messaging_appointments",
    "messaging_integrity", "messaging_direct_sends", "response_feedback", "send_cart",
    "inbox_labels", "conversations", "feed", "mention", "ratings", "leadgen",
})  # fmt: skip
Handshake = Callable[[str, str], Awaitable[str | None]]


class Callback(Struct):
    """Where an app wants the webhooks of one kind of object."""

    url: str
    fields: list[str]


class Subscriptions:
    """The app's callbacks. `handshake(url, token)` says what was wrong with an address."""

    def __init__(self, config: Config, handshake: Handshake) -> None:
        self._config = config
        self._handshake = handshake
        self.callbacks: dict[str, Callback] = {}
        if config.webhook_url:
            self.point_to(config.webhook_url)

    def point_to(self, url: str) -> None:
        """Send everything to this address, without asking it."""
        for kind in ("page", "instagram"):
            self.callbacks[kind] = Callback(url, sorted(FIELDS))

    async def subscribe(self, parameters: dict[str, str]) -> dict[str, Any]:
        """Answer POST /{app}/subscriptions, after asking the address for its consent."""
        url, token = parameters.get("callback_url", ""), parameters.get("verify_token", "")
        if not url.startswith(("http://", "https://")):
            raise errors.invalid("callback_url must be an absolute URL")
        if problem := await self._handshake(url, token):
            text = f"(#2200) callback verification failed with the following errors: {problem}"
            failure = replace(errors.FAILURES["100"], code=2200, message=text)
            raise errors.GraphError(failure)
        wanted = _listed(parameters.get("fields", ""))
        self.callbacks[parameters.get("object", "page")] = Callback(url, wanted)
        return {"success": True}

    def list(self) -> dict[str, Any]:
        """Answer GET /{app}/subscriptions."""
        return {
            "data": [
                {
                    "object": kind,
                    "callback_url": callback.url,
                    "active": True,
                    "fields": [{"name": name, "version": "v26.0"} for name in callback.fields],
                }
                for kind, callback in self.callbacks.items()
            ]
        }

    def unsubscribe(self, parameters: dict[str, str]) -> dict[str, Any]:
        """Answer DELETE /{app}/subscriptions: for one kind of object, or for all."""
        for kind in [parameters["object"]] if "object" in parameters else list(self.callbacks):
            self.callbacks.pop(kind, None)
        return {"success": True}

    def subscribed_apps(self, page: Page) -> dict[str, Any]:
        """Answer GET /{page}/subscribed_apps."""
        if not page.subscribed_fields:
            return {"data": []}
        app = {"category": "Business", "link": "https://example.org/", "name": "Pagewire"}
        names = sorted(page.subscribed_fields)
        return {"data": [{**app, "id": self._config.app_id, "subscribed_fields": names}]}


def subscribe_page(page: Page, parameters: dict[str, str]) -> dict[str, Any]:
    """Answer POST /{page}/subscribed_apps: the fields replace the earlier ones."""
    wanted = _listed(parameters.get("subscribed_fields", ""))
    if not wanted:
        raise errors.invalid("The parameter subscribed_fields is required.")
    for index, name in enumerate(wanted):
        if name not in FIELDS:
            known = ", ".join(sorted(FIELDS)).upper()
            raise errors.invalid(f"Param subscribed_fields[{index}] must be one of {{{known}}}")
    page.subscribed_fields = frozenset(wanted)
    return {"success": True}


def unsubscribe_page(page: Page) -> dict[str, Any]:
    """Answer DELETE /{page}/subscribed_apps."""
    page.subscribed_fields = frozenset()
    return {"success": True}


def _listed(text: str) -> list[str]:
    """Read names from a comma list or a JSON array; clients send either."""
    return re.findall(r"\w+", text)
