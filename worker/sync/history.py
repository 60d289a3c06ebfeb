"""The history walk: what lies below the newest messages of each conversation, to its beginning.

It has the lowest rank and all the time in the world. Which conversations are open is written in
their rows; where a long one was left is the run's place. The newest come first.
"""

from collections.abc import Sequence
from functools import partial

import msgspec
from msgspec import Struct, field, structs

from shared.errors import Unreadable as UnreadableBytes
from shared.facebook.graph import mailboxes, requests
from shared.facebook.graph.errors import Broken, ObjectUnreadable, RestartWalk, Shrink, Verdict
from shared.facebook.graph.errors import SetAside as CannotList
from shared.facebook.graph.mailboxes import Mailbox
from shared.facebook.graph.replies import Reply
from shared.store import coverage
from shared.store.coverage import OpenHistory
from shared.store.database import Database
from shared.store.runs import Taken
from worker.sync.inquiry import Chunk, Question
from worker.sync.listings import INNER_SLICE, RESTARTS, Loop, is_end, last_mid, reaches

MOST_LEFT_OUT = 10
"""Conversations a run leaves out when Facebook refuses them: more are no accident."""


class Thread(Struct, kw_only=True):
    """One conversation on its way down."""

    open: OpenHistory
    after: str | None = None
    loop: Loop = field(default_factory=Loop)
    restarts: int = 0


class Place(Struct, kw_only=True):
    """Conversations that were begun; those that could not be read, to be left out."""

    limit: int = INNER_SLICE
    begun: list[Thread] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


class History:
    """An inquiry into the older messages of a Page's conversations."""

    def __init__(self, run: Taken, database: Database, horizon_ms: int | None) -> None:
        self.counts = run.counts
        self._horizon_ms = horizon_ms
        self._database = database
        self._page_id = run.page_id
        self._own = frozenset(known for known in (run.page_id, run.instagram_id) if known)
        self._place = _place(run.place)
        # Ended in this step, perhaps not committed yet.
        self._ended: list[str] = []

    async def questions(self, most: int, slots: int, /) -> list[Question]:
        begun = self._place.begun
        if len(begun) < most:
            leave_out = [thread.open.participant_id for thread in begun]
            for found in await coverage.open_histories(
                self._database,
                sorted(self._own),
                but=[*leave_out, *self._ended, *self._place.left_out],
                most=most - len(begun),
            ):
                begun.append(Thread(open=found))
        asked = begun[:most]
        limit = max(1, min(self._place.limit, slots // max(1, len(asked))))
        return [
            Question(
                request=requests.messages(
                    thread.open.thread_id,
                    platform=thread.open.platform,
                    limit=limit,
                    after=thread.after,
                ),
                hear=partial(self._hear, thread),
                refuse=partial(self._refuse, thread),
            )
            for thread in asked
        ]

    async def _hear(self, thread: Thread, reply: Reply) -> Sequence[Chunk]:
        opened = thread.open
        mailbox = Mailbox(platform=opened.platform, page_id=opened.page_id, own=self._own)
        try:
            told = mailboxes.messages(reply, mailbox, opened.participant_id)
        except UnreadableBytes:
            return self._leave_out(thread)
        chunk = Chunk(events=[*told.found], rejected=told.rejected)
        if is_end(told, opened.platform) or reaches(told, self._horizon_ms):
            self._end(thread, chunk)
        elif thread.loop.closes(last_mid(told)):
            return self._leave_out(thread)
        thread.after = told.after
        self._place.limit = min(INNER_SLICE, self._place.limit + max(1, self._place.limit // 8))
        chunk.place = self._encoded()
        return [chunk]

    def _refuse(self, thread: Thread, verdict: Verdict) -> Sequence[Chunk] | None:
        chunk = Chunk()
        match verdict:
            case Shrink() if self._place.limit > 1:
                self._place.limit //= 2
            case RestartWalk() if thread.after is not None and thread.restarts < RESTARTS:
                thread.after, thread.loop = None, Loop()
                thread.restarts += 1
            case ObjectUnreadable():
                # Gone, or behind Instagram's wall: there is no more to be had.
                self._end(thread, chunk)
            case CannotList() | RestartWalk():
                return self._leave_out(thread)
            case Broken() if len(self._place.left_out) < MOST_LEFT_OUT:
                return self._leave_out(thread)
            case _:
                return None
        chunk.place = self._encoded()
        return [chunk]

    def _leave_out(self, thread: Thread) -> Sequence[Chunk]:
        """Leave a conversation open, so that its trouble does not stop the others."""
        self._place.begun.remove(thread)
        self.counts.total += 1
        self._place.left_out.append(thread.open.participant_id)
        return [Chunk(place=self._encoded())]

    def _end(self, thread: Thread, chunk: Chunk) -> None:
        self._place.begun.remove(thread)
        self.counts.total += 1
        self._ended.append(thread.open.participant_id)
        chunk.marks.append(
            coverage.History(
                page_id=thread.open.page_id,
                participant_id=thread.open.participant_id,
                complete=True,
            )
        )

    def _encoded(self) -> bytes:
        """Write the place; a thread whose first slice is not there yet begins anew anyhow."""
        begun = [thread for thread in self._place.begun if thread.after is not None]
        return msgspec.json.encode(structs.replace(self._place, begun=begun))


def _place(kept: bytes | None) -> Place:
    try:
        return msgspec.json.decode(kept, type=Place) if kept else Place()
    except msgspec.MsgspecError:
        return Place()
