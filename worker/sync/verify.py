"""Verification: does everything that Graph lists lie in our tables? Names what does not.

Every conversation of every folder is compared, with the ids of its newest messages or (`deep`) of
all of them; with `repair`, what is missing is then fetched, that and nothing else. What we have
and Graph does not list is no fault, and told of as information only; what it lists but hides is
not missing.
"""

from collections.abc import Iterable, Sequence
from functools import partial

from shared.events import Message, Thread
from shared.facebook.graph import mailboxes, requests
from shared.facebook.graph.errors import ObjectUnreadable, RestartWalk, Verdict
from shared.facebook.graph.mailboxes import ConversationSlice, Mailbox, MessageSlice
from shared.facebook.graph.replies import Reply
from shared.store import coverage, erasing
from shared.store.coverage import (
    AllListed,
    Finding,
    Level,
    Listed,
    Mark,
    Point,
    Proven,
    Repaired,
    Span,
    Unlisted,
)
from shared.store.database import Database
from shared.store.runs import Taken
from worker.sync.inquiry import Chunk, GoesInCircles, Question
from worker.sync.listings import (
    INNER_SLICE,
    Inner,
    Listing,
    Listings,
    Place,
    is_end,
    last_mid,
)
from worker.sync.planning import listings

_TO_THE_END, _NO_DEEPER = 0, 2**62

SETTLED_MS = 60_000
"""What is younger may still be on its way to Graph's listings."""


def place(
    points: Iterable[Point], *, instagram: bool, deep: bool, limit: int, nested: int
) -> Place:
    """Return where a verification begins; what cannot be listed cannot be compared."""
    closed = {(point.platform, point.folder) for point in points if point.set_aside}
    return Place(
        linked=True,
        listings=[
            Listing(
                platform=platform,
                folder=folder,
                inner_ms=_TO_THE_END if deep else _NO_DEEPER,
                limit=limit,
                nested=nested,
            )
            for platform, folder in listings(instagram=instagram)
            if (platform, folder) not in closed
        ],
    )


class Verify(Listings):
    """Compares what the listings hold with what is stored; `found` was found so far."""

    ids_only = True

    def __init__(
        self,
        run: Taken,
        place: Place,
        limit: int,
        database: Database,
        found: Sequence[Finding],
        *,
        horizon_ms: int | None,
    ) -> None:
        super().__init__(run, place, limit, horizon_ms)
        self._database = database
        self._level: Level = "deep" if run.options.get("deep") else "newest"
        self._repairs = bool(run.options.get("repair"))
        self._found = {(one.thread_id, one.mid): one for one in found}
        self._begun: dict[str, Inner] = {}

    async def questions(self, most: int, slots: int, /) -> list[Question]:
        asked = await super().questions(most, slots)
        if asked or not self._repairs:
            return asked
        return [self._ask_missing(one) for one in list(self._found.values())[:most]]

    async def _take_slice(
        self, listing: Listing, mailbox: Mailbox, told: ConversationSlice
    ) -> list[Chunk]:
        chunk = Chunk(rejected=told.rejected)
        self.counts.total += len(told.found)
        # What is younger than a minute may still be on its way to us: the date of a reply's
        # content is a minute before the reply.
        kept = [one for one in told.found if one.updated_ms >= (self._horizon_ms or 0)]
        settled = [one for one in kept if one.updated_ms <= one.thread.as_of_ms]
        people = [one.thread.participant_id for one in settled]
        erased = await erasing.erased_among(self._database, mailbox.page_id, people)
        missing = await coverage.missing_conversations(self._database, mailbox.page_id, people)
        slices = [
            (one.thread, mailboxes.nested_messages(one, mailbox))
            for one in kept
            if one.thread.participant_id not in erased
        ]
        listed = tuple(thread.participant_id for thread, _ in slices)
        chunk.marks.append(Listed(page_id=mailbox.page_id, participant_ids=listed))
        chunk.marks += await self._unlisted(mailbox, slices)
        for thread, nested in slices:
            if thread.participant_id in missing:
                chunk.marks.append(self._find(thread, ""))
                continue
            if nested is not None:
                chunk.marks += await self._compare(thread, nested)
            if self._goes_deeper(listing, nested):
                after = nested.after if nested else None
                listing.inner.append(Inner(thread=thread, after=after))
        return [chunk]

    async def _unlisted(
        self, mailbox: Mailbox, slices: Iterable[tuple[Thread, MessageSlice | None]]
    ) -> Sequence[Unlisted]:
        """Compare the other way round, over the times that the newest messages span."""
        spans, mids = [], []
        for thread, nested in slices:
            told = nested.found if nested else []
            mids += [message.mid for message in told]
            times = [message.sent_ms for message in told if isinstance(message, Message)]
            if times:
                # Of the oldest second there may be more in the next slice.
                spans.append(Span(thread.participant_id, min(times) + 1000, thread.as_of_ms))
        return await coverage.unlisted_messages(self._database, mailbox.page_id, spans, mids)

    async def _take_messages(
        self, _listing: Listing, inner: Inner, told: MessageSlice, _is_last: bool, /
    ) -> Chunk:
        return Chunk(marks=await self._compare(inner.thread, told), rejected=told.rejected)

    async def _compare(self, thread: Thread, told: MessageSlice) -> list[Mark]:
        settled = [
            one.mid
            for one in told.found
            if isinstance(one, Message)
            and (self._horizon_ms or 0) <= one.sent_ms <= thread.as_of_ms
        ]
        missing = await coverage.missing_messages(self._database, thread.page_id, settled)
        return [self._find(thread, mid) for mid in sorted(missing)]

    def _find(self, thread: Thread, mid: str) -> Finding:
        finding = Finding(
            page_id=thread.page_id,
            participant_id=thread.participant_id,
            thread_id=thread.thread_id,
            mid=mid,
        )
        if (thread.thread_id, mid) not in self._found:
            self.counts.missing += 1
        self._found[thread.thread_id, mid] = finding
        return finding

    def _take_end(self, _: Listing, chunk: Chunk, /) -> None:
        if all(other.done for other in self._place.listings):
            self._compare_listed(chunk)
            self._prove(chunk)

    def _compare_listed(self, chunk: Chunk) -> None:
        """Find what was not listed at all, unless a listing that we know of could not be read."""
        ids = [known for known in (self._page_id, self._instagram_id) if known]
        read = {
            (one.platform, one.folder) for one in self._place.listings if one.started_ms is not None
        }
        if read.issuperset(listings(instagram=self._instagram_id is not None)):
            before = min(one.started_ms or 0 for one in self._place.listings) - SETTLED_MS
            chunk.marks.append(AllListed(page_ids=tuple(ids), before_ms=before))

    def _prove(self, chunk: Chunk) -> None:
        """Say that the Page is complete, as of the beginning, when nothing is missing any more."""
        started = [listing.started_ms or 0 for listing in self._place.listings]
        if not self._found and not self._place.given_up and all(started):
            chunk.marks.append(Proven(level=self._level, as_of_ms=min(started)))

    def _ask_missing(self, missing: Finding) -> Question:
        mailbox = self._mailbox_of(missing)
        if missing.mid:
            return Question(
                request=requests.message(missing.mid, platform=mailbox.platform),
                hear=partial(self._hear_message, missing),
                refuse=partial(self._refuse_missing, missing),
            )
        begun = self._begun.get(missing.thread_id)
        return Question(
            request=requests.messages(
                missing.thread_id,
                platform=mailbox.platform,
                limit=INNER_SLICE,
                after=begun.after if begun else None,
            ),
            hear=partial(self._hear_conversation, missing),
            refuse=partial(self._refuse_missing, missing),
        )

    async def _hear_message(self, missing: Finding, reply: Reply) -> list[Chunk]:
        told = mailboxes.message(reply, self._mailbox_of(missing), missing.participant_id)
        return [self._repaired(missing, Chunk(events=[told]))]

    async def _hear_conversation(self, missing: Finding, reply: Reply) -> list[Chunk]:
        mailbox = self._mailbox_of(missing)
        told = mailboxes.messages(reply, mailbox, missing.participant_id)
        thread = Thread(
            platform=mailbox.platform,
            page_id=missing.page_id,
            participant_id=missing.participant_id,
            thread_id=missing.thread_id,
            as_of_ms=reply.as_of_ms,
        )
        chunk = Chunk(events=[*told.found, thread], rejected=told.rejected)
        if is_end(told, mailbox.platform):
            return [self._repaired(missing, chunk)]
        begun = self._begun.setdefault(missing.thread_id, Inner(thread=thread, after=None))
        if begun.loop.closes(last_mid(told)):
            raise GoesInCircles
        begun.after = told.after
        return [chunk]

    def _refuse_missing(self, missing: Finding, verdict: Verdict) -> list[Chunk] | None:
        match verdict:
            case ObjectUnreadable():
                # It was listed a moment ago and is hidden now: there is nothing to be had.
                return [self._repaired(missing, Chunk())]
            case RestartWalk():
                self._begun.pop(missing.thread_id, None)
                return []
            case _:
                return None

    def _repaired(self, missing: Finding, chunk: Chunk) -> Chunk:
        del self._found[missing.thread_id, missing.mid]
        self.counts.repaired += 1
        chunk.marks.append(Repaired(thread_id=missing.thread_id, mid=missing.mid))
        if not self._found:
            self._prove(chunk)
        chunk.place = self._encoded()
        return chunk

    def _mailbox_of(self, missing: Finding) -> Mailbox:
        is_messenger = missing.page_id == self._page_id
        own = frozenset(known for known in (self._page_id, self._instagram_id) if known)
        return Mailbox(
            platform="messenger" if is_messenger else "instagram",
            page_id=missing.page_id,
            own=own,
        )
