"""What every kind of sync has in common: questions, and what is kept of the answers.

A sync is an `Inquiry`: it says what it wants to ask next and, told the answer, what to store. It
neither sends nor writes; `step.py` does both, for one Page or for fifty at once.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

from msgspec import Struct, field

from shared.errors import PagewireError
from shared.events import Event, Rejected
from shared.facebook.graph.errors import Verdict
from shared.facebook.graph.replies import Reply
from shared.facebook.graph.requests import Request
from shared.store.coverage import Mark
from shared.store.runs import Counts


class GoesInCircles(PagewireError):
    """Facebook leads back to where this listing has been already."""


class Chunk(Struct, kw_only=True):
    """What one transaction keeps: events, what they prove, and how far the sync has come then.

    `counted` are the conversations, by key, that the sync's counts speak of. `place` None: the
    place is not moved yet, as more of the same answer follows.
    """

    events: list[Event] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    counted: list[tuple[str, str]] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    place: bytes | None = None


Hear: TypeAlias = Callable[[Reply], Awaitable[Sequence[Chunk]]]
Refuse: TypeAlias = Callable[[Verdict], Sequence[Chunk] | None]


class Question(Struct, frozen=True, kw_only=True):
    """One thing to ask.

    `hear` takes the answer; `refuse` takes a refusal that concerns only this question, and returns
    None when it knows no way around it.
    """

    request: Request
    hear: Hear
    refuse: Refuse


class Inquiry(Protocol):
    """A sync of one Page, in memory."""

    counts: Counts

    async def questions(self, most: int, slots: int, /) -> list[Question]:
        """Return what to ask next: at most `most`, whose answers hold at most `slots` messages.

        None left: the sync is done.
        """
        ...
