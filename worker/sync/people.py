"""What Graph tells of one person a call: labels, and names where participants had none.

Each costs a call a person, so both have the lowest rank, ask only about people whose conversation
changed or whom nobody named, and remember that they asked, whatever came of it.
"""

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from shared.errors import Unreadable as UnreadableBytes
from shared.events import Event, Label, Thread
from shared.facebook.graph import details, requests
from shared.facebook.graph.errors import (
    Broken,
    LabelsOff,
    ObjectUnreadable,
    RestartWalk,
    SetAside,
    Verdict,
)
from shared.facebook.graph.replies import Reply
from shared.facebook.graph.requests import Request
from shared.store import coverage, people
from shared.store.coverage import PersonAsked
from shared.store.database import Database
from shared.store.people import Matter, Person
from shared.store.runs import Taken
from worker.sync.inquiry import Chunk, Question

LABELS = "labels"
"""The folder under which a Page's labels are set aside."""


NOWHERE = b"{}"
"""The place of a sync whose progress lies in the rows of the people it asked about."""


MOST_REFUSED = 10
"""People a step passes over when Facebook refuses them: more are no accident."""


class Subject(Protocol):
    """What is asked of people, and how the answer is read."""

    matter: Matter

    def request(self, person: Person) -> Request: ...

    async def read(self, person: Person, reply: Reply) -> list[Event] | None:
        """Return what the answer tells; None when the person must be asked once more."""
        ...


class Labels:
    """The labels of the Page that a person wears."""

    matter: Matter = "labels"

    def __init__(self, database: Database) -> None:
        self._database = database
        # Those with more labels than one answer holds: where to go on, and those told so far.
        self._begun: dict[str, tuple[str, dict[str, str | None]]] = {}

    def request(self, person: Person) -> Request:
        after, _ = self._begun.get(person.participant_id, (None, {}))
        return requests.person_labels(person.participant_id, after=after)

    async def read(self, person: Person, reply: Reply) -> list[Event] | None:
        _, told = self._begun.pop(person.participant_id, (None, {}))
        more, after = details.labels(reply)
        told = told | more
        if after is not None:
            self._begun[person.participant_id] = (after, told)
            return None
        # The whole list was told: a label that is not in it was taken off.
        gone = await people.worn_labels(self._database, person) - told.keys()
        return [
            Label(
                platform=person.platform,
                page_id=person.page_id,
                participant_id=person.participant_id,
                label_id=label_id,
                name=told.get(label_id),
                at_ms=reply.as_of_ms,
                active=label_id in told,
            )
            for label_id in sorted(told.keys() | gone)
        ]


class Names:
    """The name of a person whom no participant list named."""

    matter: Matter = "names"

    def request(self, person: Person) -> Request:
        return requests.profile(person.participant_id, platform=person.platform)

    async def read(self, person: Person, reply: Reply) -> list[Event]:
        name = details.profile_name(reply)
        if name is None:
            return []
        return [
            Thread(
                platform=person.platform,
                page_id=person.page_id,
                participant_id=person.participant_id,
                thread_id=person.thread_id,
                as_of_ms=reply.as_of_ms,
                participant_name=name,
            )
        ]


class AboutPeople:
    """An inquiry into the people of a Page."""

    def __init__(self, run: Taken, database: Database, subject: Subject) -> None:
        self.counts = run.counts
        self._database = database
        self._subject = subject
        self._page_ids = [known for known in (run.page_id, run.instagram_id) if known]
        self._asked: list[str] = []
        self._is_closed = False
        self._refused = 0

    async def questions(self, most: int, _slots: int, /) -> list[Question]:
        if self._is_closed:
            return []
        found = await people.due(
            self._database, self._subject.matter, self._page_ids, but=self._asked, most=most
        )
        return [
            Question(
                request=self._subject.request(person),
                hear=partial(self._hear, person),
                refuse=partial(self._refuse, person),
            )
            for person in found
        ]

    async def _hear(self, person: Person, reply: Reply) -> Sequence[Chunk]:
        try:
            events = await self._subject.read(person, reply)
        except UnreadableBytes:
            events = []
        if events is None:
            return []
        return [self._done(person, events, reply.as_of_ms)]

    def _refuse(self, person: Person, verdict: Verdict) -> Sequence[Chunk] | None:
        match verdict:
            case LabelsOff():
                self._is_closed = True
                mark = coverage.SetAside(platform="messenger", folder=LABELS, reason=verdict.reason)
                return [Chunk(marks=[mark], place=NOWHERE)]
            case Broken() if self._refused < MOST_REFUSED:
                self._refused += 1
                return [self._done(person, [], None)]
            case ObjectUnreadable() | RestartWalk() | SetAside():
                return [self._done(person, [], None)]
            case _:
                return None

    def _done(self, person: Person, events: list[Event], as_of_ms: int | None) -> Chunk:
        # Perhaps not committed yet when the next people are looked for.
        self._asked.append(person.participant_id)
        self.counts.total += 1
        mark = PersonAsked(
            matter=self._subject.matter,
            page_id=person.page_id,
            participant_id=person.participant_id,
            as_of_ms=as_of_ms,
        )
        return Chunk(events=events, marks=[mark], place=NOWHERE)
