"""The listings of a Page: Messenger's folders and Instagram, each with a place of its own.

A listing gives conversations newest first, slice by slice; a conversation may be read inwards,
from its newest messages down. Whatever is done with what they hold, this is how they are asked for
and where they end. All that is known on the way is the `Place`, which is kept with what is stored.
"""

from abc import ABC, abstractmethod
from functools import partial

import msgspec
from msgspec import Struct, field

from shared.errors import Unreadable as UnreadableBytes
from shared.events import Message, Platform, Thread, Unreadable
from shared.facebook.graph import details, mailboxes, requests
from shared.facebook.graph.errors import Broken, ObjectUnreadable, RestartWalk, Shrink, Verdict
from shared.facebook.graph.errors import SetAside as CannotList
from shared.facebook.graph.mailboxes import ConversationSlice, Mailbox, MessageSlice
from shared.facebook.graph.replies import Reply
from shared.store.coverage import Link, SetAside
from shared.store.rows import greatest
from shared.store.runs import Taken
from worker.sync.inquiry import Chunk, GoesInCircles, Question

INNER_SLICE = 100
"""Messages asked for at once where a conversation is read inwards."""

RESTARTS = 20
"""Dead cursors after which a listing is given up: they die faster than it can be read."""


class Loop(Struct):
    """Notices a listing that comes back to where it was, however long the circle (Brent).

    Cursors may look new each time, so slices are known by their last row. A row may well come
    twice, when one jumped to the front meanwhile; three times at the same mark is a circle.
    """

    mark: str | None = None
    met: int = 0
    steps: int = 0
    power: int = 1

    def closes(self, last: str) -> bool:
        """Take the last row of the next slice; tell whether the listing goes in a circle."""
        if last == self.mark:
            self.met += 1
        self.steps += 1
        if self.met < 3 and self.steps >= self.power:
            self.mark, self.met, self.steps, self.power = last, 0, 0, self.power * 2
        return self.met >= 3


class Inner(Struct, kw_only=True):
    """A conversation that is being read inwards; `after` None: from its newest message."""

    thread: Thread
    after: str | None
    limit: int = INNER_SLICE
    loop: Loop = field(default_factory=Loop)


class Listing(Struct, kw_only=True):
    """One listing on its way; `stop_ms` ends the listing, `inner_ms` the reading inwards."""

    platform: Platform
    folder: str
    stop_ms: int | None = None
    inner_ms: int | None = None
    started_ms: int | None = None
    after: str | None = None
    limit: int
    nested: int
    listed: bool = False
    inner: list[Inner] = field(default_factory=list)
    loop: Loop = field(default_factory=Loop)
    restarts: int = 0

    @property
    def done(self) -> bool:
        return self.listed and not self.inner


class Place(Struct, kw_only=True):
    """All that is known on the way.

    `linked` False: whether there is an Instagram account is not known. `given_up` counts the
    conversations that could not be read inwards.
    """

    linked: bool
    listings: list[Listing]
    given_up: int = 0


class Listings(ABC):
    """An inquiry into all listings of a Page: how they are asked for, and where they end.

    What is made of the answers is a subclass's: the methods that begin with `_take`. Below the
    horizon nothing is kept, and nothing is read.
    """

    ids_only = False

    def __init__(self, run: Taken, place: Place, limit: int, horizon_ms: int | None) -> None:
        self.counts = run.counts
        self._horizon_ms = horizon_ms
        self._page_id = run.page_id
        self._instagram_id = run.instagram_id
        self._place = place
        self._limit = limit

    @abstractmethod
    async def _take_slice(
        self, listing: Listing, mailbox: Mailbox, told: ConversationSlice
    ) -> list[Chunk]:
        """Return what is kept of a slice of conversations, at least one chunk."""

    @abstractmethod
    async def _take_messages(
        self, listing: Listing, inner: Inner, told: MessageSlice, is_last: bool, /
    ) -> Chunk:
        """Return what is kept of a slice of one conversation's messages."""

    @abstractmethod
    def _take_end(self, listing: Listing, chunk: Chunk, /) -> None:
        """Add what the end of a listing proves to its last chunk."""

    def _take_gone(self, _: Inner, /) -> Chunk:
        """Return what is kept of a conversation that is gone, or hidden."""
        return Chunk()

    def _take_given_up(self, _: Inner, /) -> Chunk:
        """Return what is kept of a conversation that cannot be read down to the bound."""
        return Chunk()

    async def questions(self, most: int, slots: int, /) -> list[Question]:
        wanted: list[tuple[Listing, Inner | None]] = []
        for listing in self._place.listings:
            # What a slice left open is read before the next one: the place stays small.
            wanted += [(listing, inner) for inner in listing.inner]
            if not listing.inner and not listing.listed:
                wanted.append((listing, None))
        del wanted[most - (not self._place.linked) :]
        share = slots // max(1, len(wanted))
        asked = [
            self._ask_slice(listing, share)
            if inner is None
            else self._ask_inner(listing, inner, share)
            for listing, inner in wanted
        ]
        if not self._place.linked:
            asked.append(
                Question(
                    request=requests.page(self._page_id),
                    hear=self._hear_page,
                    refuse=self._refuse_page,
                )
            )
        return asked

    def _ask_slice(self, listing: Listing, share: int) -> Question:
        request = requests.conversations(
            self._page_id,
            platform=listing.platform,
            folder=listing.folder,
            limit=max(1, min(listing.limit, share // listing.nested)),
            messages=listing.nested,
            after=listing.after,
            ids_only=self.ids_only,
        )
        return Question(
            request=request,
            hear=partial(self._hear_slice, listing),
            refuse=partial(self._refuse_slice, listing),
        )

    def _ask_inner(self, listing: Listing, inner: Inner, share: int) -> Question:
        request = requests.messages(
            inner.thread.thread_id,
            platform=listing.platform,
            limit=max(1, min(inner.limit, share)),
            after=inner.after,
            ids_only=self.ids_only,
        )
        return Question(
            request=request,
            hear=partial(self._hear_inner, listing, inner),
            refuse=partial(self._refuse_inner, listing, inner),
        )

    async def _hear_slice(self, listing: Listing, reply: Reply) -> list[Chunk]:
        mailbox = self._mailbox(listing)
        told = mailboxes.conversations(reply, mailbox)
        if listing.started_ms is None:
            listing.started_ms = reply.date_ms
        chunks = await self._take_slice(listing, mailbox, told)
        bound_ms = greatest(listing.stop_ms, self._horizon_ms)
        is_below = (
            bound_ms is not None and bool(told.found) and told.found[-1].updated_ms < bound_ms
        )
        listing.listed = is_below or told.after is None
        last = told.found[-1].thread.thread_id if told.found else ""
        if not listing.listed and listing.loop.closes(last):
            raise GoesInCircles
        listing.after = told.after
        listing.limit = min(self._limit, listing.limit + max(1, listing.limit // 8))
        self._close(listing, chunks[-1])
        return chunks

    async def _hear_inner(self, listing: Listing, inner: Inner, reply: Reply) -> list[Chunk]:
        try:
            told = mailboxes.messages(reply, self._mailbox(listing), inner.thread.participant_id)
        except UnreadableBytes:
            return self._give_up(listing, inner)
        is_last = not self._goes_deeper(listing, told)
        if not is_last and inner.loop.closes(last_mid(told)):
            return self._give_up(listing, inner)
        chunk = await self._take_messages(listing, inner, told, is_last)
        if is_last:
            listing.inner.remove(inner)
        inner.after = told.after
        self._close(listing, chunk)
        return [chunk]

    def _give_up(self, listing: Listing, inner: Inner) -> list[Chunk]:
        """Leave one conversation behind, so that its trouble does not stop the Page's others."""
        listing.inner.remove(inner)
        self._place.given_up += 1
        chunk = self._take_given_up(inner)
        self._close(listing, chunk)
        return [chunk]

    def _goes_deeper(self, listing: Listing, told: MessageSlice | None) -> bool:
        """Tell whether a conversation must be read below these messages."""
        if told is not None and is_end(told, listing.platform):
            return False
        if listing.inner_ms is None:
            return False
        return not reaches(told, greatest(listing.inner_ms, self._horizon_ms))

    async def _hear_page(self, reply: Reply) -> list[Chunk]:
        linked = details.instagram_id(reply)
        self._place.linked = True
        chunk = Chunk()
        if linked is not None:
            self._instagram_id = linked
            inbox = self._place.listings[0]
            self._place.listings.append(
                Listing(
                    platform="instagram", folder="inbox", limit=self._limit, nested=inbox.nested
                )
            )
            chunk.marks.append(Link(instagram_id=linked))
        chunk.place = self._encoded()
        return [chunk]

    def _close(self, listing: Listing, chunk: Chunk) -> None:
        """Let the last chunk of an answer move the place."""
        if listing.done:
            self._take_end(listing, chunk)
        chunk.place = self._encoded()

    def _refuse_slice(self, listing: Listing, verdict: Verdict) -> list[Chunk] | None:
        match verdict:
            case Shrink() if listing.limit > 1:
                listing.limit //= 2
            case Shrink() if listing.nested > 1:
                listing.nested //= 2
            case RestartWalk() if listing.after is not None and listing.restarts < RESTARTS:
                listing.after, listing.loop = None, Loop()
                listing.restarts += 1
            case CannotList():
                return self._set_aside(listing, verdict.reason)
            case _:
                return None
        return [Chunk(place=self._encoded())]

    def _refuse_inner(self, listing: Listing, inner: Inner, verdict: Verdict) -> list[Chunk] | None:
        match verdict:
            case Shrink() if inner.limit > 1:
                inner.limit //= 2
            case RestartWalk() if inner.after is not None and listing.restarts < RESTARTS:
                inner.after, inner.loop = None, Loop()
                listing.restarts += 1
            case ObjectUnreadable():
                listing.inner.remove(inner)
                chunk = self._take_gone(inner)
                self._close(listing, chunk)
                return [chunk]
            case CannotList():
                return self._set_aside(listing, verdict.reason)
            case RestartWalk() | Broken():
                return self._give_up(listing, inner)
            case _:
                return None
        return [Chunk(place=self._encoded())]

    def _refuse_page(self, _: Verdict) -> list[Chunk]:
        # Without an answer about Instagram the Page's Messenger is synced all the same.
        self._place.linked = True
        return [Chunk(place=self._encoded())]

    def _set_aside(self, listing: Listing, reason: str) -> list[Chunk]:
        listing.listed, listing.inner = True, []
        mark = SetAside(platform=listing.platform, folder=listing.folder, reason=reason)
        return [Chunk(marks=[mark], place=self._encoded())]

    def _mailbox(self, listing: Listing) -> Mailbox:
        own = frozenset(known for known in (self._page_id, self._instagram_id) if known)
        page_id = self._page_id
        if listing.platform == "instagram" and self._instagram_id:
            page_id = self._instagram_id
        return Mailbox(platform=listing.platform, page_id=page_id, own=own)

    def _encoded(self) -> bytes:
        return msgspec.json.encode(self._place)


def is_end(told: MessageSlice, platform: Platform) -> bool:
    """Tell whether nothing more of the conversation can be read below these messages.

    Instagram lists ids beyond its 20 newest messages but hides the rest: that wall is an end.
    """
    walled = platform == "instagram" and told.found and isinstance(told.found[-1], Unreadable)
    return told.after is None or bool(walled)


def last_mid(told: MessageSlice) -> str:
    """Return the id of a slice's oldest message."""
    return told.found[-1].mid if told.found else ""


def reaches(told: MessageSlice | None, bound_ms: int | None) -> bool:
    """Tell whether these messages reach below the bound; nothing reaches below None."""
    return (
        told is not None
        and bound_ms is not None
        and any(isinstance(one, Message) and one.sent_ms < bound_ms for one in told.found)
    )
