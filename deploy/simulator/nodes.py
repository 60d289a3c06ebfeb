"""The kinds of nodes an id can stand for, and how an id is looked up."""

from typing import TypeAlias

from msgspec import Struct

from deploy.simulator import errors
from deploy.simulator.conversations import CONVERSATION
from deploy.simulator.fields import Field
from deploy.simulator.labels import LABEL, Label
from deploy.simulator.messages import MESSAGE, details_shown
from deploy.simulator.profiles import INSTAGRAM_ACCOUNT, INSTAGRAM_PERSON, PAGE, PERSON
from deploy.simulator.shapes import Json, Shape, View
from deploy.simulator.tokens import Grant
from deploy.simulator.truth import Conversation, Message, Page, Person, Truth


class Account(Struct, frozen=True):
    """A Page's Instagram account as a node of its own."""

    page: Page


class App(Struct, frozen=True):
    """The app."""

    id: str


class User(Struct, frozen=True):
    """The person who runs the Pages."""

    id: str


Node: TypeAlias = Page | Account | Conversation | Message | Person | Label | App | User

_APP = Shape("Application", {"id": lambda _, app, __: app.id}, (Field("id"),))
_USER = Shape(
    "User",
    {"id": lambda _, user, __: user.id, "name": lambda *_: "Page Owner"},
    (Field("id"), Field("name")),
)


class Nodes:
    """Looks ids up: a token sees its own Page's conversations, messages and people only."""

    def __init__(self, truth: Truth, app_id: str, user_id: str) -> None:
        self._truth = truth
        self._app = App(app_id)
        self._user = User(user_id)

    def find(self, id_: str, grant: Grant) -> Node:
        """Return the node; raises code 100, subcode 33 for one that is not there."""
        truth = self._truth
        if id_ == "me":
            return grant.page or self._user
        if (page := truth.accounts.get(id_)) is not None:
            return page if page.id == id_ else Account(page)
        node: Node | None = None
        if grant.page is not None:
            key = (grant.page.id, id_)
            node = truth.threads.get(key) or truth.people.get(key)
            node = node or self._message(id_, grant.page) or self._label(id_, grant.page)
        elif id_ == self._app.id:
            node = self._app
        elif id_ == self._user.id:
            node = self._user
        if node is None:
            raise errors.missing(id_)
        return node

    def _message(self, mid: str, page: Page) -> Message | None:
        message = self._truth.messages.get(mid)
        return message if message and message.conversation.page is page else None

    def _label(self, label: str, page: Page) -> Label | None:
        return Label(label, page.labels[label]) if label in page.labels else None


def show(view: View, node: Node, asked: tuple[Field, ...]) -> Json:
    """Return one node as Graph shows it, or raise what reading it gives."""
    match node:
        case Message() if node.deleted_ms is not None or not details_shown(view, node):
            raise errors.refuse("9000001")
        case Person(platform="messenger", name=None):
            raise errors.refuse("2018218")
        case _:
            return _shape(node).show(view, node, asked)


def _shape(node: Node) -> Shape:
    match node:
        case Page():
            return PAGE
        case Account():
            return INSTAGRAM_ACCOUNT
        case Conversation():
            return CONVERSATION
        case Message():
            return MESSAGE
        case Person():
            return PERSON if node.platform == "messenger" else INSTAGRAM_PERSON
        case Label():
            return LABEL
        case App():
            return _APP
        case User():
            return _USER
