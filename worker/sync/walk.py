"""The walk: a Page's conversations, newest first, down to where they are known to be stored.

Each listing is walked by itself and has its own sync point. Its place is kept with what is
stored, so that a walk goes on after whatever stopped it. The rules:

  - the walk's start is the `Date` of its first reply, and becomes the sync point in the
    transaction that stores the walk's last piece: never before, never later than the start;
  - it ends where a slice's last conversation is older than the sync point less the overlap;
  - a conversation brings its newest messages; what may be missing below them is read inwards by
    time, down to the same bound. Never "until a known message": a gap can lie below one that a
    webhook brought. What lies below the bound is the history walk's;
  - a conversation counts as known only with its last inner slice.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeAlias

from msgspec import structs

from shared.events import Thread
from shared.facebook.graph import mailboxes
from shared.facebook.graph.mailboxes import Conversation, ConversationSlice, Mailbox, MessageSlice
from shared.store.coverage import Advance, History, Known
from shared.store.rows import greatest
from shared.store.runs import Taken
from worker.sync.inquiry import Chunk
from worker.sync.listings import Inner, Listing, Listings, Place, is_end, reaches

CHUNK = 400
"""Messages a transaction writes at most, beside those of its last conversation."""

Lookup: TypeAlias = Callable[[str, Sequence[str]], Awaitable[dict[str, Known]]]
"""Of a Page's conversations, by participant, those that are stored whole."""


class Walk(Listings):
    """Stores what the listings hold.

    `known` looks up conversations that are stored: given, those that cannot have changed are
    skipped. `limit` is the slice to grow back to.
    """

    def __init__(
        self,
        run: Taken,
        place: Place,
        limit: int,
        *,
        overlap: timedelta,
        known: Lookup | None,
        horizon_ms: int | None,
    ) -> None:
        super().__init__(run, place, limit, horizon_ms)
        self._overlap_ms = overlap // timedelta(milliseconds=1)
        self._known = known

    async def _take_slice(
        self, listing: Listing, mailbox: Mailbox, told: ConversationSlice
    ) -> list[Chunk]:
        chunks = [Chunk(rejected=told.rejected)]
        for conversation in await self._changed(listing, mailbox, told.found):
            if len(chunks[-1].events) >= CHUNK:
                chunks.append(Chunk())
            self._take_conversation(listing, mailbox, conversation, chunks[-1])
        return chunks

    async def _changed(
        self, listing: Listing, mailbox: Mailbox, found: Sequence[Conversation]
    ) -> Sequence[Conversation]:
        """Leave out what is older than the bound, and what is stored as it is.

        Times are in whole seconds: an equal one proves that nothing came since only when the
        reply that stored it was later than that second, by the overlap.
        """
        bound_ms = greatest(listing.stop_ms, self._horizon_ms)
        if bound_ms is not None:
            found = [one for one in found if one.updated_ms >= bound_ms]
        if self._known is None:
            return found
        known = await self._known(mailbox.page_id, [one.thread.participant_id for one in found])
        changed = []
        for one in found:
            stored = known.get(one.thread.participant_id)
            if (
                stored is None
                or stored.updated_ms != one.updated_ms
                or stored.as_of_ms <= one.updated_ms + self._overlap_ms
            ):
                changed.append(one)
        self.counts.skipped += len(found) - len(changed)
        self.counts.total += len(found) - len(changed)
        return changed

    def _take_conversation(
        self, listing: Listing, mailbox: Mailbox, conversation: Conversation, chunk: Chunk
    ) -> None:
        nested = mailboxes.nested_messages(conversation, mailbox)
        whole = structs.replace(conversation.thread, updated_ms=conversation.updated_ms)
        chunk.counted.append((mailbox.page_id, whole.participant_id))
        if nested is not None:
            chunk.events += nested.found
            chunk.rejected += nested.rejected
            if is_end(nested, listing.platform) or reaches(nested, self._horizon_ms):
                chunk.marks.append(_history(whole, complete=True))
        if self._goes_deeper(listing, nested):
            listing.inner.append(Inner(thread=whole, after=nested.after if nested else None))
            chunk.events.append(conversation.thread)
        else:
            chunk.events.append(whole)

    async def _take_messages(
        self, listing: Listing, inner: Inner, told: MessageSlice, is_last: bool, /
    ) -> Chunk:
        chunk = Chunk(events=[*told.found], rejected=told.rejected)
        if is_end(told, listing.platform) or reaches(told, self._horizon_ms):
            chunk.marks.append(_history(inner.thread, complete=True))
        if is_last:
            chunk.events.append(inner.thread)
        return chunk

    def _take_end(self, listing: Listing, chunk: Chunk, /) -> None:
        if listing.started_ms is not None:
            chunk.marks.append(
                Advance(
                    platform=listing.platform,
                    folder=listing.folder,
                    synced_to_ms=listing.started_ms,
                    whole=listing.stop_ms is None,
                )
            )

    def _take_given_up(self, inner: Inner, /) -> Chunk:
        # What may be missing is the history walk's now.
        return Chunk(marks=[_history(inner.thread, complete=False)])

    def _take_gone(self, inner: Inner, /) -> Chunk:
        # What is stored of it stays, and there is no more to be had.
        return Chunk(marks=[_history(inner.thread, complete=True)])


def _history(thread: Thread, *, complete: bool) -> History:
    return History(page_id=thread.page_id, participant_id=thread.participant_id, complete=complete)
