"""The one truth that webhooks announce and Graph serves, and the ways in which it changes.

Times are milliseconds since the epoch. Nothing here knows HTTP, JSON or chance.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct, field

Platform = Literal["messenger", "instagram"]
FOLDERS = ("inbox", "page_done", "other", "pending", "spam")


class Person(Struct, eq=False):
    """Someone who writes to one account of a Page; the id is good for that account alone.

    Without a name, Facebook shows nobody's profile: an account made with a phone number only.
    """

    id: str
    platform: Platform
    name: str | None
    username: str | None
    labels: dict[str, str] = field(default_factory=dict)


class Page(Struct, eq=False):
    """A Facebook Page, and its professional Instagram account when it has one."""

    number: int
    id: str
    name: str
    instagram_id: str | None
    instagram_username: str | None
    inboxes: dict[tuple[Platform, str], "Inbox"] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    subscribed_fields: frozenset[str] = frozenset()
    thread_owner: str | None = None  # the app that answers people, where several share the Page

    def account(self, platform: Platform) -> str:
        """Return the id that webhooks and Graph use for this Page on that platform."""
        if platform == "messenger":
            return self.id
        if self.instagram_id is None:
            raise LookupError(f"Page {self.id} has no Instagram account")
        return self.instagram_id

    def conversations(self) -> Iterator["Conversation"]:
        """Yield every conversation, folder by folder, newest first."""
        for inbox in self.inboxes.values():
            yield from reversed(inbox.rows)


class Attachment(Struct, frozen=True):
    """What came with a message; `asset` identifies the file behind the signed URLs."""

    kind: str
    asset: str
    mime_type: str | None = None
    title: str | None = None
    sticker_id: int | None = None


class Reaction(Struct, frozen=True):
    """Who thinks what of a message; taken back when not `active`."""

    reaction: str
    emoji: str
    active: bool
    acted_ms: int


class Draft(Struct, frozen=True, kw_only=True):
    """What is to be said."""

    text: str | None = None
    attachments: tuple[Attachment, ...] = ()
    reply_to: "Message | None" = None
    story: str | None = None
    quick_reply: str | None = None
    postback: str | None = None
    app_id: int | None = None


class Message(Struct, eq=False):
    """A message of either side, as it now is. `index` is its place in the conversation."""

    conversation: "Conversation"
    index: int
    mid: str
    sent_ms: int
    inbound: bool
    text: str | None
    attachments: tuple[Attachment, ...] = ()
    reply_to: "Message | None" = None
    story: str | None = None
    quick_reply: str | None = None
    postback: str | None = None
    app_id: int | None = None
    num_edit: int = 0
    edited_ms: int | None = None
    deleted_ms: int | None = None
    reactions: dict[str, Reaction] | None = None


class Conversation(Struct, eq=False):
    """A person and a Page. Thread ids are unique within a Page and repeat across Pages.

    `updated_ms` is when the last message was sent, `acted_ms` when anything last happened.
    """

    page: Page
    platform: Platform
    thread: str
    number: int
    person: Person
    folder: str = "inbox"
    messages: list[Message] = field(default_factory=list)
    updated_ms: int = 0
    acted_ms: int = 0
    read_watermark_ms: int = 0
    delivered_watermark_ms: int = 0
    unread: int = 0

    @property
    def place(self) -> tuple[int, str]:
        """Return what a folder is ordered by."""
        return (self.updated_ms, self.thread)

    def newest(self) -> Message | None:
        """Return the newest message that was not taken back."""
        return next((m for m in reversed(self.messages) if m.deleted_ms is None), None)


class Inbox:
    """The conversations of one folder in the order of their last message, oldest first."""

    def __init__(self) -> None:
        self.places: list[tuple[int, str]] = []
        self.rows: list[Conversation] = []

    def add(self, conversation: Conversation) -> None:
        """Put a conversation in its place."""
        index = bisect_left(self.places, conversation.place)
        self.places.insert(index, conversation.place)
        self.rows.insert(index, conversation)

    def remove(self, conversation: Conversation) -> None:
        """Take a conversation out; its `updated_ms` must be that of its place."""
        index = bisect_left(self.places, conversation.place)
        del self.places[index], self.rows[index]


class Truth:
    """All Pages, conversations and messages, findable by id."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.accounts: dict[str, Page] = {}
        self.people: dict[tuple[str, str], Person] = {}
        self.threads: dict[tuple[str, str], Conversation] = {}
        self.messages: dict[str, Message] = {}
        self.label_pages: dict[str, Page] = {}

    def page(self, id_: str) -> Page:
        """Return the Page with this id, its Instagram account's id too; LookupError otherwise."""
        if id_ not in self.accounts:
            raise LookupError(f"there is no Page {id_}")
        return self.accounts[id_]

    def conversation(self, page: str, thread: str) -> Conversation:
        """Return a conversation of a Page; LookupError when there is none."""
        found = self.threads.get((self.page(page).id, thread))
        if found is None:
            raise LookupError(f"Page {page} has no conversation {thread}")
        return found

    def add_page(self, page: Page) -> None:
        """Add a Page with empty folders."""
        self.pages[page.id] = page
        self.accounts[page.id] = page
        page.inboxes = {("messenger", folder): Inbox() for folder in FOLDERS}
        if page.instagram_id:
            self.accounts[page.instagram_id] = page
            page.inboxes["instagram", "inbox"] = Inbox()

    def add_conversation(self, conversation: Conversation) -> None:
        """Add a conversation to its Page and folder."""
        page = conversation.page
        self.people[page.id, conversation.person.id] = conversation.person
        self.threads[page.id, conversation.thread] = conversation
        page.inboxes[conversation.platform, conversation.folder].add(conversation)

    def add_history(self, conversation: Conversation, messages: list[Message]) -> None:
        """Give a new conversation its past; it must not be in a folder yet."""
        conversation.messages = messages
        conversation.updated_ms = messages[-1].sent_ms
        self.messages.update((message.mid, message) for message in messages)

    def say(
        self, conversation: Conversation, mid: str, draft: Draft, now_ms: int, *, inbound: bool
    ) -> Message:
        """Add a message at the end; the conversation moves to the front of its folder."""
        inbox = conversation.page.inboxes[conversation.platform, conversation.folder]
        inbox.remove(conversation)
        last_ms = conversation.messages[-1].sent_ms if conversation.messages else 0
        message = Message(
            conversation=conversation,
            index=len(conversation.messages),
            mid=mid,
            sent_ms=max(now_ms, last_ms + 1),
            inbound=inbound,
            text=draft.text,
            attachments=draft.attachments,
            reply_to=draft.reply_to,
            story=draft.story,
            quick_reply=draft.quick_reply,
            postback=draft.postback,
            app_id=draft.app_id,
        )
        conversation.messages.append(message)
        conversation.updated_ms = message.sent_ms
        conversation.unread = conversation.unread + 1 if inbound else 0
        inbox.add(conversation)
        self.messages[mid] = message
        return message

    def edit(self, message: Message, text: str, now_ms: int) -> None:
        """Give a message another text."""
        message.text = text
        message.num_edit += 1
        message.edited_ms = now_ms

    def unsend(self, message: Message, now_ms: int) -> None:
        """Take a message back: its content is gone for good."""
        message.deleted_ms = now_ms
        message.text = None
        message.attachments = ()

    def react(self, message: Message, actor: str, reaction: Reaction) -> None:
        """Note what `actor` thinks of a message."""
        message.reactions = {**(message.reactions or {}), actor: reaction}

    def read(self, conversation: Conversation, watermark_ms: int) -> None:
        """Note that the person has read so far."""
        conversation.read_watermark_ms = max(conversation.read_watermark_ms, watermark_ms)

    def deliver(self, conversation: Conversation, watermark_ms: int) -> None:
        """Note that messages reached the person so far."""
        conversation.delivered_watermark_ms = max(conversation.delivered_watermark_ms, watermark_ms)

    def move(self, conversation: Conversation, folder: str) -> None:
        """Put a conversation into another folder; webhooks do not tell of it."""
        page, platform = conversation.page, conversation.platform
        page.inboxes[platform, conversation.folder].remove(conversation)
        conversation.folder = folder
        page.inboxes[platform, folder].add(conversation)

    def add_label(self, page: Page, label: str, name: str) -> None:
        """Give a Page a label that can be put on people."""
        page.labels[label] = name
        self.label_pages[label] = page

    def remove_label(self, label: str) -> None:
        """Take a label away from its Page and from everyone who has it."""
        page = self.label_pages.pop(label)
        del page.labels[label]
        for (page_id, _), person in self.people.items():
            if page_id == page.id:
                person.labels.pop(label, None)
