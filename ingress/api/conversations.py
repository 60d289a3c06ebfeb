"""Conversations and messages over HTTP."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from ingress.api import cursors
from ingress.api.callers import Caller
from ingress.api.cursors import Cursor
from ingress.api.directory import Directory
from ingress.api.routes import Encoded, Id, Limit, Name, endpoint
from ingress.api.shapes import Asked, ConversationSlice, MessageSlice
from shared.cache import Cache, Question, about_conversation, about_list
from shared.store import reading, tags
from shared.store.database import Database
from shared.store.reading import Conversation, Wanted
from shared.store.tags import Touched

Words = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\u0000]*$")]

Time = Annotated[
    datetime,
    Meta(
        tz=True,
        extra_json_schema={
            "pattern": r"^[1-9]\d{3}-(0[1-9]|1[0-2])-([01][1-9]|2[0-8])T"
            r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?Z$"
        },
    ),
]

_MOST_TOKENS = 10


class ConversationPath(Asked):
    """Our id of a conversation."""

    id: UUID


class TagPath(Asked):
    """Our id of a conversation, and a tag's name."""

    id: UUID
    name: Name


class Listing(Asked):
    """Which conversations: of a Page (our id or either of Facebook's), with a tag, unread ones.

    `q` finds all its words, or words that begin so, in one message or in the person's name.
    """

    page_id: Id | None = None
    tag: Name | None = None
    q: Words | None = None
    unread: bool = False
    limit: Limit = 50
    cursor: Cursor | None = None


class Slice(Asked):
    """Which messages: so many, after a cursor."""

    limit: Limit = 50
    cursor: Cursor | None = None


class Seen(Asked):
    """Up to when: the `sentAt` of the newest message that was shown; now, without it."""

    until: Time | None = None


class Conversations:
    """Conversations.

    `database` is the primary, `replica` may lag behind it; only the primary fills the cache.
    """

    def __init__(
        self, database: Database, replica: Database, directory: Directory, cache: Cache
    ) -> None:
        self._database = database
        self._replica = replica
        self._directory = directory
        self._cache = cache

    @endpoint("GET", "/conversations", scope="read")
    async def listing(self, caller: Caller, query: Listing) -> Encoded[ConversationSlice]:
        """List conversations, the newest first.

        One that gets a message while you go through the slices moves to the front, and is not
        repeated further down.
        """
        pages = caller.page_ids
        if query.page_id is not None:
            pages = (await self._directory.find(query.page_id, caller.pages)).entry_ids
        wanted = Wanted(unread=query.unread, tag=query.tag, words=query.q)
        after = cursors.read("conversations", query.cursor)

        async def load(database: Database) -> bytes:
            found, place = await reading.conversations(
                database, pages, wanted, after=after, limit=query.limit
            )
            cursor = cursors.write("conversations", place)
            return msgspec.json.encode(ConversationSlice(data=found, next_cursor=cursor))

        if after is not None or query.q is not None:
            return Encoded(await load(self._replica))
        question = Question(
            "conversations", _name(pages, query), tuple(map(about_list, _listed(pages)))
        )
        return Encoded(await self._cache.get(question, lambda: load(self._database)))

    @endpoint("GET", "/conversations/{id}", scope="read")
    async def show(self, caller: Caller, path: ConversationPath) -> Encoded[Conversation]:
        """Show a conversation."""
        return await self._conversation(caller, path.id)

    @endpoint("GET", "/conversations/{id}/messages", scope="read")
    async def messages(
        self, caller: Caller, path: ConversationPath, query: Slice
    ) -> Encoded[MessageSlice]:
        """List a conversation's messages, the newest first."""
        after = cursors.read("messages", query.cursor)

        async def load(database: Database) -> bytes:
            found, place = await reading.messages(
                database, caller.page_ids, path.id, after=after, limit=query.limit
            )
            cursor = cursors.write("messages", place)
            return msgspec.json.encode(MessageSlice(data=found, next_cursor=cursor))

        if after is not None:
            return Encoded(await load(self._replica))
        question = Question(
            "messages",
            _name(caller.page_ids, path.id, query.limit),
            (about_conversation(path.id),),
        )
        return Encoded(await self._cache.get(question, lambda: load(self._database)))

    @endpoint("PUT", "/conversations/{id}/tags/{name}", scope="sync")
    async def tag(self, caller: Caller, path: TagPath) -> Encoded[Conversation]:
        """Put a tag on a conversation."""
        return await self._touched(
            caller, await tags.put(self._database, caller.page_ids, path.id, path.name)
        )

    @endpoint("DELETE", "/conversations/{id}/tags/{name}", scope="sync")
    async def untag(self, caller: Caller, path: TagPath) -> Encoded[Conversation]:
        """Take a tag off a conversation; a label of the Page's stays until Facebook says so."""
        return await self._touched(
            caller, await tags.delete(self._database, caller.page_ids, path.id, path.name)
        )

    @endpoint("PUT", "/conversations/{id}/seen", scope="sync")
    async def see(
        self, caller: Caller, path: ConversationPath, body: Seen | None
    ) -> Encoded[Conversation]:
        """Mark a conversation as seen."""
        until = body and body.until
        return await self._touched(
            caller,
            await tags.see(self._database, caller.page_ids, path.id, until or datetime.now(UTC)),
        )

    async def _touched(self, caller: Caller, touched: Touched) -> Encoded[Conversation]:
        if touched.changed:
            await self._cache.changed([touched])
        return await self._conversation(caller, touched.conversation_id)

    async def _conversation(self, caller: Caller, conversation: UUID) -> Encoded[Conversation]:
        async def load() -> bytes:
            return msgspec.json.encode(
                await reading.conversation(self._database, caller.page_ids, conversation)
            )

        question = Question(
            "conversation",
            _name(caller.page_ids, conversation),
            (about_conversation(conversation),),
        )
        return Encoded(await self._cache.get(question, load))


def _name(pages: Sequence[str] | None, *asked: object) -> str:
    """Return what tells an answer from all others: who may see what is part of the question."""
    said = msgspec.msgpack.encode((pages, asked))
    return hashlib.blake2b(said, digest_size=16).hexdigest()


def _listed(pages: Sequence[str] | None) -> Sequence[str | None]:
    """Return the lists whose tokens a listing depends on."""
    if pages is None or len(pages) > _MOST_TOKENS:
        return [None]
    return pages
