"""Answers Graph calls: from a path and parameters to a status and JSON, without any transport."""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from deploy.simulator import errors, fields, ids, paging, users
from deploy.simulator.calls import Answer, Call
from deploy.simulator.clock import Clock
from deploy.simulator.config import Config, Modes
from deploy.simulator.conversations import CONVERSATION
from deploy.simulator.faults import Fault, Faults
from deploy.simulator.fields import Field
from deploy.simulator.labels import LABEL, Label, Labels
from deploy.simulator.limits import Limits
from deploy.simulator.messages import attachments_edge, show_messages
from deploy.simulator.nodes import Account, App, Node, Nodes, User, show
from deploy.simulator.paging import Cursors, Slice
from deploy.simulator.shapes import Json, View, edge, limit_of, link
from deploy.simulator.subscriptions import Subscriptions, subscribe_page, unsubscribe_page
from deploy.simulator.tokens import Grant, Tokens
from deploy.simulator.truth import FOLDERS, Conversation, Message, Page, Person, Platform, Truth
from deploy.simulator.window import window

LATEST = (26, 0)
OLDEST = (20, 0)
_NOT_REPEATED = frozenset({"after", "before", "limit", "pretty"})


class Ask(Struct, kw_only=True):
    """One call being answered: what is asked, by whom, and how the truth is looked at."""

    call: Call
    grant: Grant
    view: View
    fields: tuple[Field, ...]
    short: bool

    @property
    def parameters(self) -> dict[str, str]:
        """Return the parameters other than token and proof."""
        return self.call.parameters

    def limit(self) -> int:
        """Return how many rows are asked for."""
        return limit_of(self.parameters.get("limit"))

    def rows(self) -> int:
        """Return how many rows are given: fewer than the limit is not the end."""
        return max(1, self.limit() // 2) if self.short else self.limit()

    def link(self, path: str) -> str:
        """Return the address of an edge, to be completed with a cursor."""
        kept = {k: v for k, v in self.parameters.items() if k not in _NOT_REPEATED}
        return link(self.view, path, {**kept, "limit": str(self.limit())})

    def edge(self, path: str, found: Slice[Any], data: list[Json]) -> Json:
        """Return an edge with the addresses of its neighbours."""
        return edge(self.view, found, data, self.limit(), self.link(path))

    def numbered(self, rows: list[Any]) -> Slice[Any]:
        """Return the asked-for slice of a short list."""
        after, before = self.parameters.get("after"), self.parameters.get("before")
        return paging.numbered(rows, self.view.cursors, self.limit(), after, before)


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
        self._traces = 0
        self.cursors_void_before_ms = 0
        self._handlers: dict[tuple[type, str, str], Handler] = {
            (Page, "conversations", "GET"): self._conversations,
            (Account, "conversations", "GET"): self._conversations,
            (Conversation, "messages", "GET"): self._messages,
            (Message, "attachments", "GET"): self._attachments,
            (User, "accounts", "GET"): self._accounts,
            (Page, "subscribed_apps", "GET"): lambda _, page: subscriptions.subscribed_apps(page),
            (Page, "subscribed_apps", "POST"): lambda a, page: subscribe_page(page, a.parameters),
            (Page, "subscribed_apps", "DELETE"): lambda _, page: unsubscribe_page(page),
            (App, "subscriptions", "GET"): lambda *_: subscriptions.list(),
            (App, "subscriptions", "POST"): lambda a, _: subscriptions.subscribe(a.parameters),
            (App, "subscriptions", "DELETE"): lambda a, _: subscriptions.unsubscribe(a.parameters),
            (Page, "custom_labels", "GET"): self._page_labels,
            (Page, "custom_labels", "POST"): lambda a, page: labels.create(page, a.parameters),
            (Person, "custom_labels", "GET"): self._person_labels,
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
            return self._many(ask)
        first, _, name = call.path.partition("/")
        node = self._nodes.find(first, grant)
        if not name and call.method == "GET":
            return self._one(ask, node)
        handler = self._handlers.get((type(node), name, call.method))
        if handler is None:
            raise errors.missing(call.path)
        if name and isinstance(node, Page | Account) and _page(node) is not grant.page:
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

    # Nodes

    def _one(self, ask: Ask, node: Node) -> Json:
        if isinstance(node, Conversation | Message):
            self._admit(node)
            self._refuse_costly(1, ask.fields)
        return show(ask.view, node, ask.fields)

    def _many(self, ask: Ask) -> Json:
        wanted = [id_ for id_ in ask.parameters.get("ids", "").split(",") if id_]
        if not wanted:
            raise errors.invalid("The parameter ids is required")
        if len(wanted) > 50:
            raise errors.invalid("Too many IDs. Maximum: 50. Provided: " + str(len(wanted)))
        return {id_: self._one(ask, self._nodes.find(id_, ask.grant)) for id_ in wanted}

    def _admit(self, node: Conversation | Message) -> None:
        conversation = node.conversation if isinstance(node, Message) else node
        self._limits.admit_reading(conversation.page.account(conversation.platform))

    def _refuse_costly(self, rows: int, asked: tuple[Field, ...]) -> None:
        nested = [limit_of(field.modifier("limit")) for field in asked if field.name == "messages"]
        if self._modes.max_cost and rows * sum(nested or [1]) > self._modes.max_cost:
            raise errors.refuse("reduce")

    # Edges

    def _conversations(self, ask: Ask, node: Page | Account) -> Json:
        page, parameters = _page(node), ask.parameters
        platform = "instagram" if isinstance(node, Account) else _platform(parameters)
        if platform == "instagram" and page.instagram_id is None:
            raise errors.refuse("100/2534013")
        self._limits.admit_reading(page.account(platform))
        self._refuse_costly(ask.limit(), ask.fields)
        path = f"{page.id}/conversations"
        if "user_id" in parameters:
            rows = _with_person(page, platform, parameters["user_id"])
            asked = ask.fields or (Field("id"),)
            return ask.edge(path, ask.numbered(rows), CONVERSATION.show_all(ask.view, rows, asked))
        found = paging.conversations(
            page.inboxes[platform, _folder(platform, parameters)],
            ask.view.cursors,
            ask.rows(),
            window(parameters, self._modes, served_version(ask.call.version)),
            after=parameters.get("after"),
            before=parameters.get("before"),
        )
        return ask.edge(path, found, CONVERSATION.show_all(ask.view, found.rows, ask.fields))

    def _messages(self, ask: Ask, node: Conversation) -> Json:
        self._admit(node)
        self._refuse_costly(ask.limit(), ())
        found = paging.messages(
            node,
            ask.view.cursors,
            ask.rows(),
            after=ask.parameters.get("after"),
            before=ask.parameters.get("before"),
        )
        data = show_messages(ask.view, found.rows, ask.fields)
        return ask.edge(f"{node.thread}/messages", found, data)

    def _attachments(self, ask: Ask, node: Message) -> Json:
        self._admit(node)
        wanted = ask.fields or None
        return attachments_edge(
            ask.view, node, wanted, ask.limit(), after=ask.parameters.get("after")
        )

    def _accounts(self, ask: Ask, node: User) -> Json:
        pages = list(self._truth.pages.values())
        found = ask.numbered(pages)
        data = users.accounts(ask.view, found.rows, ask.fields)
        answer = ask.edge(f"{node.id}/accounts", found, data)
        if "summary" in ask.parameters:
            answer["summary"] = {"total_count": len(pages)}
        return answer

    def _page_labels(self, ask: Ask, page: Page) -> Json:
        return self._label_edge(ask, f"{page.id}/custom_labels", page.labels)

    def _person_labels(self, ask: Ask, person: Person) -> Json:
        return self._label_edge(ask, f"{person.id}/custom_labels", person.labels)

    def _label_edge(self, ask: Ask, path: str, names: dict[str, str]) -> Json:
        found = ask.numbered([Label(id_, name) for id_, name in names.items()])
        return ask.edge(path, found, LABEL.show_all(ask.view, found.rows, ask.fields))


def served_version(asked: str | None) -> tuple[int, int]:
    """Return the version that answers: a dead one is served by the oldest that lives."""
    if not asked:
        return LATEST
    major, minor = asked.removeprefix("v").split(".")
    return max(OLDEST, (int(major), int(minor)))


def _page(node: Page | Account) -> Page:
    return node.page if isinstance(node, Account) else node


def _own(ask: Ask) -> Page:
    """Return the Page of a token that found one of its labels."""
    if ask.grant.page is None:
        raise errors.refuse("210")
    return ask.grant.page


def _platform(parameters: dict[str, str]) -> Platform:
    match parameters.get("platform", "messenger").lower():
        case "messenger":
            return "messenger"
        case "instagram":
            return "instagram"
        case _:
            raise errors.invalid("Param platform must be one of {INSTAGRAM, MESSENGER}")


def _folder(platform: Platform, parameters: dict[str, str]) -> str:
    """Return the folder asked for; Instagram has but one."""
    folder = parameters.get("folder", "inbox").lower()
    if folder not in FOLDERS:
        raise errors.invalid(f"Param folder must be one of {{{', '.join(FOLDERS).upper()}}}")
    return "inbox" if platform == "instagram" else folder


def _with_person(page: Page, platform: Platform, person: str) -> list[Conversation]:
    return [
        conversation
        for conversation in page.conversations()
        if conversation.platform == platform and conversation.person.id == person
    ]
