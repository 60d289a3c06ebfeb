"""What can be read: single nodes, and the edges that list them."""

from deploy.simulator import errors, paging, users
from deploy.simulator.ask import Ask
from deploy.simulator.config import Modes
from deploy.simulator.conversations import CONVERSATION
from deploy.simulator.fields import Field
from deploy.simulator.labels import LABEL, Label
from deploy.simulator.limits import Limits
from deploy.simulator.messages import attachments_edge, show_messages
from deploy.simulator.nodes import Account, Node, Nodes, User, show
from deploy.simulator.shapes import Json, limit_of
from deploy.simulator.truth import FOLDERS, Conversation, Message, Page, Person, Platform, Truth
from deploy.simulator.window import window


class Edges:
    """Reads the truth for a call, within the limits on reading conversations."""

    def __init__(self, truth: Truth, nodes: Nodes, modes: Modes, limits: Limits) -> None:
        self._truth = truth
        self._nodes = nodes
        self._modes = modes
        self._limits = limits

    def one(self, ask: Ask, node: Node) -> Json:
        """Answer GET /{id}."""
        if isinstance(node, Conversation | Message):
            self._admit(node)
            self._refuse_costly(1, ask.fields)
        return show(ask.view, node, ask.fields)

    def many(self, ask: Ask) -> Json:
        """Answer GET /?ids=: an object by id; one that is missing fails the whole."""
        wanted = [id_ for id_ in ask.parameters.get("ids", "").split(",") if id_]
        if not wanted:
            raise errors.invalid("The parameter ids is required")
        if len(wanted) > 50:
            raise errors.invalid("Too many IDs. Maximum: 50. Provided: " + str(len(wanted)))
        return {id_: self.one(ask, self._nodes.find(id_, ask.grant)) for id_ in wanted}

    def _admit(self, node: Conversation | Message) -> None:
        conversation = node.conversation if isinstance(node, Message) else node
        self._limits.admit_reading(conversation.page.account(conversation.platform))

    def _refuse_costly(self, rows: int, asked: tuple[Field, ...]) -> None:
        nested = [limit_of(field.modifier("limit")) for field in asked if field.name == "messages"]
        if self._modes.max_cost and rows * sum(nested or [1]) > self._modes.max_cost:
            raise errors.refuse("reduce")

    def conversations(self, ask: Ask, node: Page | Account) -> Json:
        """Answer GET /{page}/conversations."""
        page, parameters = page_of(node), ask.parameters
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
            window(parameters, self._modes, ask.version),
            after=parameters.get("after"),
            before=parameters.get("before"),
        )
        return ask.edge(path, found, CONVERSATION.show_all(ask.view, found.rows, ask.fields))

    def thread_owner(self, page: Page) -> Json:
        """Answer GET /{page}/thread_owner: all threads of a Page have the same here."""
        owner = {"thread_owner": {"app_id": page.thread_owner}}
        return {"data": [owner] if page.thread_owner else []}

    def messages(self, ask: Ask, node: Conversation) -> Json:
        """Answer GET /{thread}/messages."""
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

    def attachments(self, ask: Ask, node: Message) -> Json:
        """Answer GET /{message}/attachments."""
        self._admit(node)
        wanted = ask.fields or None
        return attachments_edge(
            ask.view, node, wanted, ask.limit(), after=ask.parameters.get("after")
        )

    def accounts(self, ask: Ask, node: User) -> Json:
        """Answer GET /me/accounts."""
        pages = list(self._truth.pages.values())
        found = ask.numbered(pages)
        data = users.accounts(ask.view, found.rows, ask.fields)
        answer = ask.edge(f"{node.id}/accounts", found, data)
        if "summary" in ask.parameters:
            answer["summary"] = {"total_count": len(pages)}
        return answer

    def page_labels(self, ask: Ask, page: Page) -> Json:
        """Answer GET /{page}/custom_labels."""
        return self._label_edge(ask, f"{page.id}/custom_labels", page.labels)

    def person_labels(self, ask: Ask, person: Person) -> Json:
        """Answer GET /{psid}/custom_labels."""
        return self._label_edge(ask, f"{person.id}/custom_labels", person.labels)

    def _label_edge(self, ask: Ask, path: str, names: dict[str, str]) -> Json:
        found = ask.numbered([Label(id_, name) for id_, name in names.items()])
        return ask.edge(path, found, LABEL.show_all(ask.view, found.rows, ask.fields))


def page_of(node: Page | Account) -> Page:
    """Return the Page that a Page or its Instagram account is."""
    return node.page if isinstance(node, Account) else node


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
