"""Answers Graph calls: from a path and parameters to a status and JSON, without any transport."""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, TypeAlias

import msgspec

from deploy.simulator import errors, fields, ids, users
from deploy.simulator.ask import Ask, served_version
from deploy.simulator.calls import Answer, Call
from deploy.simulator.clock import Clock
from deploy.simulator.config import Config, Modes
from deploy.simulator.edges import Edges, page_of
from deploy.simulator.faults import Fault, Faults
from deploy.simulator.labels import Label, Labels
from deploy.simulator.limits import Limits
from deploy.simulator.nodes import Account, App, Nodes, User
from deploy.simulator.paging import Cursors
from deploy.simulator.shapes import Json, View
from deploy.simulator.subscriptions import Subscriptions, subscribe_page, unsubscribe_page
from deploy.simulator.tokens import Grant, Tokens
from deploy.simulator.truth import Conversation, Message, Page, Person, Truth

Handler: TypeAlias = Callable[[Ask, Any], Json | Awaitable[Json]]


class Graph:
    """The Graph API over one truth."""

    def __init__(
        self,
        config: Config,
        modes: Modes,
        clock: Clock,
        truth: Truth,
        *,
        tokens: Tokens,
        limits: Limits,
        faults: Faults,
        subscriptions: Subscriptions,
        labels: Labels,
    ) -> None:
        self._config = config
        self._modes = modes
        self._clock = clock
        self._truth = truth
        self._tokens = tokens
        self._limits = limits
        self._faults = faults
        self._nodes = Nodes(truth, config.app_id, tokens.user_id)
        self._edges = edges = Edges(truth, self._nodes, modes, limits)
        self._traces = 0
        self.cursors_void_before_ms = 0
        self._handlers: dict[tuple[type, str, str], Handler] = {
            (Page, "conversations", "GET"): edges.conversations,
            (Account, "conversations", "GET"): edges.conversations,
            (Conversation, "messages", "GET"): edges.messages,
            (Message, "attachments", "GET"): edges.attachments,
            (User, "accounts", "GET"): edges.accounts,
            (Page, "subscribed_apps", "GET"): lambda _, page: subscriptions.subscribed_apps(page),
            (Page, "subscribed_apps", "POST"): lambda a, page: subscribe_page(page, a.parameters),
            (Page, "subscribed_apps", "DELETE"): lambda _, page: unsubscribe_page(page),
            (App, "subscriptions", "GET"): lambda *_: subscriptions.list(),
            (App, "subscriptions", "POST"): lambda a, _: subscriptions.subscribe(a.parameters),
            (App, "subscriptions", "DELETE"): lambda a, _: subscriptions.unsubscribe(a.parameters),
            (Page, "thread_owner", "GET"): lambda _, page: edges.thread_owner(page),
            (Page, "custom_labels", "GET"): edges.page_labels,
            (Page, "custom_labels", "POST"): lambda a, page: labels.create(page, a.parameters),
            (Person, "custom_labels", "GET"): edges.person_labels,
            (Label, "label", "POST"): lambda a, x: labels.put(_own(a), x, a.parameters, on=True),
            (Label, "label", "DELETE"): lambda a, x: labels.put(_own(a), x, a.parameters, on=False),
            (Label, "", "DELETE"): lambda _, label: labels.delete(label),
        }

    def page_of(self, call: Call) -> Page | None:
        """Return the Page whose token or path a call has; dead tokens count too."""
        grant = self._tokens.grants.get(call.token or "")
        if grant and grant.page:
            return grant.page
        return self._truth.accounts.get(call.path.partition("/")[0])

    async def answer(self, call: Call) -> Answer:
        """Answer one call, or make of it what a fault says."""
        page = self.page_of(call)
        page_id = page.id if page else None
        fault = self._faults.strike(page_id, f"/{call.path}", batched=call.batched)
        if fault and fault.kind == "null":
            return Answer(http=200, body=None, headers={}, page=page_id)
        try:
            self._limits.admit(page_id)
            if fault and fault.error:
                raise errors.refuse(fault.error)
            answer = self.accept(call, msgspec.json.encode(await self._handle(call, fault)))
        except errors.GraphError as error:
            answer = self.refuse(call, error)
        if fault:
            answer.headers |= fault.headers
        return answer

    def accept(self, call: Call, body: bytes) -> Answer:
        """Return an answer with this body and the headers that every answer has."""
        page = self.page_of(call)
        page_id = page.id if page else None
        major, minor = served_version(call.version)
        headers = {"facebook-api-version": f"v{major}.{minor}", **self._limits.headers(page_id)}
        return Answer(http=200, body=body, headers=headers, page=page_id)

    def refuse(self, call: Call, error: errors.GraphError) -> Answer:
        """Return the answer that tells of an error."""
        self._traces += 1
        failure = error.failure
        trace = "A" + ids.letters(f"trace/{self._traces}", 22)
        answer = self.accept(call, msgspec.json.encode(failure.body(trace)))
        answer.http, answer.code, answer.subcode = failure.http, failure.code, failure.subcode
        if failure.http < 500:
            why = failure.message.replace('"', "'")
            answer.headers["WWW-Authenticate"] = (
                f'OAuth "Facebook Platform" "invalid_request" "{why}"'
            )
        return answer

    def check(self, call: Call) -> Grant:
        """Return what the call's token stands for; raises for a bad token or a bad proof."""
        grant = self._tokens.check(call.token)
        self._check_proof(call)
        return grant

    async def _handle(self, call: Call, fault: Fault | None) -> Json:
        now_ms = self._clock.now_ms()
        if call.path == "oauth/access_token":
            return users.access_token(self._tokens, self._config, call.parameters, now_ms)
        grant = self.check(call)
        if call.path == "debug_token":
            return users.debug_token(self._tokens, self._config, call.parameters, now_ms)
        ask = Ask(
            call=call,
            grant=grant,
            view=self._view(call, grant, now_ms),
            fields=fields.parse(call.parameters.get("fields", "")),
            short=fault is not None and fault.kind == "short",
        )
        if not call.path:
            return self._edges.many(ask)
        first, _, name = call.path.partition("/")
        node = self._nodes.find(first, grant)
        if not name and call.method == "GET":
            return self._edges.one(ask, node)
        handler = self._handlers.get((type(node), name, call.method))
        if handler is None:
            raise errors.missing(call.path)
        if name and isinstance(node, Page | Account) and page_of(node) is not grant.page:
            raise errors.refuse("210")
        found = handler(ask, node)
        return await found if isawaitable(found) else found

    def _view(self, call: Call, grant: Grant, now_ms: int) -> View:
        own = {grant.page.id: call.token or ""} if grant.page else {}
        life_ms = int(self._modes.cursor_life * 1000)
        void_ms = max(self.cursors_void_before_ms, now_ms - life_ms if life_ms else 0)
        return View(
            modes=self._modes,
            base=call.base,
            token=call.token or "",
            now_ms=now_ms,
            cursors=Cursors(now_ms, void_ms, offset=self._modes.cursors == "offset"),
            page_tokens=self._tokens.of_page if grant.kind == "user" else own,
        )

    def _check_proof(self, call: Call) -> None:
        mode, token = self._modes.proof, call.token or ""
        if mode == "off" or token == self._tokens.app:
            return
        if call.proof is None and mode == "required":
            raise errors.invalid("API calls from the server require an appsecret_proof argument")
        if call.proof is not None and call.proof != self._tokens.proof(token):
            raise errors.invalid("Invalid appsecret_proof provided in the API argument")


def _own(ask: Ask) -> Page:
    """Return the Page of a token that found one of its labels."""
    if ask.grant.page is None:
        raise errors.refuse("210")
    return ask.grant.page
