"""What we ask the Graph API, as values: nothing here sends anything.

https://developers.facebook.com/docs/graph-api/overview
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias
from urllib.parse import quote, urlencode

from msgspec import Struct, structs

from shared.events import Platform

About: TypeAlias = Literal["page", "folder", "labels", "thread", "message", "person", "app"]
"""What a refusal concerns: the whole Page, or only one folder, feature or object of it."""

INSTAGRAM_MESSAGES = 20
"""Instagram shows the details of so many newest messages of a conversation, and no more.

https://developers.facebook.com/docs/messenger-platform/conversations
"""

WANTED_FIELDS = (
    "messages",
    "message_echoes",
    "message_edits",
    "message_reads",
    "message_deliveries",
    "message_reactions",
    "messaging_postbacks",
    "messaging_referrals",
    "messaging_optins",
    "messaging_handovers",
    "messaging_account_linking",
    "messaging_feedback",
    "messaging_policy_enforcement",
    "standby",
    "inbox_labels",
)
"""The webhook fields a Page is subscribed to. `response_feedback` is left out: people see it."""

PAGE_SCOPES = frozenset({"pages_messaging", "pages_manage_metadata", "pages_read_engagement"})
INSTAGRAM_SCOPES = frozenset({"instagram_basic", "instagram_manage_messages"})
"""What a token must be allowed to read a Page's conversations, and its Instagram account's.

https://developers.facebook.com/docs/messenger-platform/conversations
"""

# Graph leaves out what is empty but refuses fields it does not know (#100), so each platform is
# asked for its own. https://developers.facebook.com/docs/graph-api/reference/message
_MESSAGE = {
    "messenger": "id,created_time,from,to,message,attachments,sticker,"
    "shares{id,link,name,description},reply_to",
    "instagram": "id,created_time,from,to,message,attachments,"
    "shares{id,link,name},story,reply_to,is_unsupported",
}
_MESSAGE_ID = "id,created_time,from"
_PERSON = {
    "messenger": "id,name,first_name,last_name,profile_pic",
    "instagram": "id,name,username,profile_pic",
}


class Request(Struct, frozen=True, kw_only=True):
    """One question to Graph. `path` has no version and no leading slash, its ids are quoted.

    `parameters` travel in the query of a GET and in the form body of a POST. `about` is what a
    refusal would concern.
    """

    path: str
    parameters: tuple[tuple[str, str], ...] = ()
    method: Literal["GET", "POST"] = "GET"
    about: About = "page"

    def __repr__(self) -> str:
        # Parameters may hold a token.
        return f"<{self.method} /{self.path}>"

    @property
    def has_cursor(self) -> bool:
        return any(name == "after" for name, _ in self.parameters)

    def with_parameters(self, *more: tuple[str, str]) -> "Request":
        return structs.replace(self, parameters=self.parameters + more)

    def relative_url(self) -> str:
        """Return path and query, as a Batch API item wants them."""
        return f"{self.path}?{urlencode(self.parameters)}"


def _id(value: str) -> str:
    return quote(value, safe="")


def _paged(fields: str, limit: int | None, after: str | None = None) -> tuple[tuple[str, str], ...]:
    parameters = [("fields", fields)]
    if limit is not None:
        parameters.append(("limit", str(limit)))
    if after is not None:
        parameters.append(("after", after))
    return tuple(parameters)


def conversations(
    page_id: str,
    *,
    platform: Platform,
    limit: int,
    messages: int,
    folder: str | None = None,
    after: str | None = None,
    ids_only: bool = False,
) -> Request:
    """Ask for a slice of a Page's conversations, newest first, each with its newest messages.

    `since` is never sent: "time-based pagination is not available for the conversations
    endpoint", and a filter nobody promises could hide a conversation. Instagram takes no `folder`.
    https://developers.facebook.com/docs/graph-api/reference/page/conversations
    """
    if platform == "instagram":
        messages = min(messages, INSTAGRAM_MESSAGES)
    message = _MESSAGE_ID if ids_only else _MESSAGE[platform]
    fields = f"id,updated_time,participants,messages.limit({messages}){{{message}}}"
    parameters = [("platform", platform), *_paged(fields, limit, after)]
    if folder is not None and platform == "messenger":
        parameters.append(("folder", folder))
    return Request(
        path=f"{_id(page_id)}/conversations",
        parameters=tuple(parameters),
        # A folder Graph will not list, or a closed Instagram account, leaves the inbox standing.
        about="page" if platform == "messenger" and folder in {None, "inbox"} else "folder",
    )


def messages(
    thread_id: str,
    *,
    platform: Platform,
    limit: int,
    after: str | None = None,
    ids_only: bool = False,
) -> Request:
    """Ask for a slice of a conversation's messages, newest first."""
    fields = _MESSAGE_ID if ids_only else _MESSAGE[platform]
    return Request(
        path=f"{_id(thread_id)}/messages", parameters=_paged(fields, limit, after), about="thread"
    )


def message(mid: str, *, platform: Platform) -> Request:
    """Ask for one message."""
    return Request(path=_id(mid), parameters=_paged(_MESSAGE[platform], None), about="message")


def thread_owner(page_id: str, person: str) -> Request:
    """Ask which app answers a person, where several share a Page.

    https://developers.facebook.com/docs/messenger-platform/handover-protocol/get-thread-owner
    """
    return Request(path=f"{_id(page_id)}/thread_owner", parameters=(("recipient", person),))


def page(page_id: str) -> Request:
    """Ask for a Page's name and the Instagram account linked to it."""
    return Request(
        path=_id(page_id), parameters=_paged("id,name,instagram_business_account{id}", None)
    )


def callbacks(app_id: str) -> Request:
    """Ask where the app's webhooks go (app token).

    https://developers.facebook.com/docs/graph-api/reference/app/subscriptions
    """
    return Request(path=f"{_id(app_id)}/subscriptions", about="app")


def consent(callback_url: str, verify_token: str, challenge: str) -> str:
    """Return the URL that Facebook gets before it sends webhooks: answered by the challenge.

    https://developers.facebook.com/docs/graph-api/webhooks/getting-started
    """
    asked = {"mode": "subscribe", "challenge": challenge, "verify_token": verify_token}
    query = urlencode({f"hub.{name}": value for name, value in asked.items()})
    return f"{callback_url}{'&' if '?' in callback_url else '?'}{query}"


def subscribed_apps(page_id: str) -> Request:
    """Ask which apps get the Page's webhooks, and for which fields.

    https://developers.facebook.com/docs/messenger-platform/webhooks
    """
    return Request(path=f"{_id(page_id)}/subscribed_apps")


def subscribe(page_id: str, fields: Sequence[str] = WANTED_FIELDS) -> Request:
    """Subscribe the app to the Page; the fields replace those it had."""
    return Request(
        path=f"{_id(page_id)}/subscribed_apps",
        parameters=(("subscribed_fields", ",".join(fields)),),
        method="POST",
    )


def person_labels(participant_id: str, *, after: str | None = None) -> Request:
    """Ask which of the Page's labels a person wears.

    https://developers.facebook.com/docs/messenger-platform/identity/custom-labels
    """
    return Request(
        path=f"{_id(participant_id)}/custom_labels",
        parameters=_paged("id,page_label_name", 100, after),
        about="labels",
    )


def profile(participant_id: str, *, platform: Platform) -> Request:
    """Ask for a person's name.

    https://developers.facebook.com/docs/messenger-platform/identity/user-profile
    """
    return Request(
        path=_id(participant_id), parameters=_paged(_PERSON[platform], None), about="person"
    )


def accounts(*, after: str | None = None) -> Request:
    """Ask which Pages a user manages, with their tokens (user token)."""
    return Request(
        path="me/accounts",
        parameters=_paged("id,name,access_token,tasks,instagram_business_account{id}", 100, after),
        about="app",
    )


def debug_token(token: str) -> Request:
    """Ask what a token is good for (app token); in a body, so that it stays out of URLs.

    https://developers.facebook.com/docs/graph-api/reference/debug_token
    """
    return Request(
        path="debug_token",
        parameters=(("method", "get"), ("input_token", token)),
        method="POST",
        about="app",
    )
