"""One step of a sync, or of up to fifty at once: ask, write, keep the place, let go.

A step holds its runs under a lease, asks what each wants to know next in one request, and writes
the answers while the next request travels. It ends before half a minute is over, or sooner when
nothing may be asked for a while: no worker slot sleeps out a limit. Whatever ends it, the place of
each run is kept with what was stored, so the next step, here or elsewhere, goes on from there.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, TypeAlias
from uuid import UUID

from msgspec import Struct

from shared import log
from shared.config import Secret
from shared.crypto import CannotDecrypt, KeyRing
from shared.errors import PagewireError, Unavailable
from shared.facebook.graph.batch import LIMIT
from shared.facebook.graph.errors import Broken, ParkPage, PauseApp, Retry, Snooze
from shared.facebook.graph.limits import Priority
from shared.facebook.graph.replies import Reply
from shared.store import runs
from shared.store.applying import Applied
from shared.store.database import Connection, Database
from shared.store.runs import Counts, LeaseLost, Taken
from worker import outcome
from worker.sync.asking import Answer, Ask, Graph
from worker.sync.hold import TRIES, Active, Lease
from worker.sync.inquiry import Chunk, GoesInCircles, Inquiry, Question
from worker.sync.storing import Storing

SLOTS = 20_000
"""Messages a request may ask for: a larger answer takes too long to unpack."""

STEP = 20.0
"""Seconds after which a step asks nothing more; an answer under way may take thirty."""

PACE = 1.15
"""A wait of a second is the rhythm of a Page's calls and is waited out here: the way through the
queue would take as long. Anything longer ends the step."""

UNANSWERED = 3
"""So often a question may be left out of a batch's answer before that counts as a failure."""

_log = log.get(__name__)


class Modes(Protocol):
    """What each mode of sync begins with, and what follows when it is done."""

    async def begin(self, run: Taken) -> Inquiry: ...
    async def follow(self, run: Taken) -> None: ...


class Tools(Struct, frozen=True, kw_only=True):
    """What steps are taken with; built once a process."""

    database: Database
    graph: Graph
    keys: KeyRing
    storing: Storing
    modes: Modes


async def take_step(tools: Tools, run_id: UUID) -> outcome.Done | outcome.Snooze:
    """Go on with a run and those that go together with it, up to fifty; return when to do so again.

    Done: nothing of it is to be done soon. Raises Unavailable, or what Postgres raised.
    """
    lease = Lease(tools.database)
    if taken := await runs.take(tools.database, run_id, lease.id, LIMIT):
        async with lease.kept():
            step = _Step(tools, lease)
            for run in taken:
                await step.begin(run)
            await step.go()
    due = await runs.next_due(tools.database, run_id)
    return outcome.Done() if due is None else outcome.Snooze(until=due)


class _Asked(Struct, frozen=True):
    active: Active
    question: Question
    answer: Answer


_Heard: TypeAlias = list[tuple[Active, Sequence[Chunk]]]
_Questions: TypeAlias = list[tuple[Active, list[Question]]]


class _Step:
    """The runs of one step, from taking them to letting the last one go."""

    def __init__(self, tools: Tools, lease: Lease) -> None:
        self._tools = tools
        self._lease = lease
        self._ends = time.monotonic() + STEP
        self._active: list[Active] = []
        self._leaving: list[Active] = []

    async def begin(self, run: Taken) -> None:
        if run.dropped_at is not None:
            await self._tell_again(run, run.dropped_at)
        inquiry = await self._tools.modes.begin(run)
        try:
            token = self._tools.keys.decrypt(run.token, run.page_id)
        except CannotDecrypt as error:
            active = Active(run, Secret(""), inquiry)
            active.stop = ParkPage(code="token", reason=str(error))
            self._leaving.append(active)
            return
        self._active.append(Active(run, token, inquiry))

    async def _tell_again(self, run: Taken, dropped_at: datetime) -> None:
        """Follow the commits of a holder who died, which nobody may have been told of."""
        ids = [known for known in (run.page_id, run.instagram_id) if known]
        since = dropped_at - 2 * runs.LEASE
        changed = await runs.changed_since(self._tools.database, ids, since)
        await self._tools.storing.tell_again(changed)

    async def go(self) -> None:
        """Ask in rounds, and write the answers of one while the next travels."""
        heard: _Heard = []
        while self._active:
            questions = await self._questions()
            asking = asyncio.create_task(self._ask(questions))
            try:
                await self._write(heard)
                asked = await asking
            finally:
                asking.cancel()
            heard = await self._hear(asked)
        await self._write(heard)

    async def _questions(self) -> _Questions:
        """Collect what is to be asked next.

        Who has nothing left to ask is done; when the time is over, nobody asks anything.
        """
        if time.monotonic() >= self._ends:
            self._leaving += self._active
            self._active = []
            return []
        most, slots = LIMIT // len(self._active), SLOTS // len(self._active)
        questions: _Questions = []
        for active in self._active:
            questions.append((active, await active.inquiry.questions(most, slots)))
        for active, asked in questions:
            if not asked:
                active.is_done = True
                self._leaving.append(active)
        questions = [(active, asked) for active, asked in questions if asked]
        self._active = [active for active, _ in questions]
        return questions

    async def _ask(self, questions: _Questions) -> list[_Asked]:
        """Ask what the budget admits; who must wait for long is told so instead of an answer."""
        while questions:
            grants = await self._tools.graph.admit(
                {active.run.page_id: len(asked) for active, asked in questions},
                Priority(min(active.run.priority for active, _ in questions)),
            )
            admitted: list[tuple[Active, Question]] = []
            asleep: list[_Asked] = []
            waits = []
            for active, asked in questions:
                grant = grants[active.run.page_id]
                admitted += [(active, question) for question in asked[: grant.calls]]
                if grant.wait > PACE or (grant.wait and time.monotonic() >= self._ends):
                    asleep.append(_Asked(active, asked[0], _wait_for_budget(grant.wait)))
                elif grant.wait:
                    waits.append(grant.wait)
            if admitted or asleep:
                return asleep + await self._answers(admitted)
            await asyncio.sleep(min(waits))
        return []

    async def _answers(self, admitted: Sequence[tuple[Active, Question]]) -> list[_Asked]:
        if not admitted:
            return []
        for active, _ in admitted:
            active.inquiry.counts.calls += 1
        answers = await self._tools.graph.ask(
            [
                Ask(
                    page_id=active.run.page_id,
                    instagram_id=active.run.instagram_id,
                    token=active.token,
                    request=question.request,
                )
                for active, question in admitted
            ]
        )
        return [
            _Asked(active, question, answer)
            for (active, question), answer in zip(admitted, answers, strict=True)
        ]

    async def _hear(self, asked: Sequence[_Asked]) -> _Heard:
        heard: _Heard = []
        for one in asked:
            chunks = () if one.active.is_lost else await self._understand(one)
            if chunks:
                heard.append((one.active, chunks))
            # Events that arrive live have their turn between any two answers.
            await asyncio.sleep(0)
        self._leaving += [active for active in self._active if active.stop]
        self._active = [active for active in self._active if not active.stop]
        return heard

    async def _understand(self, asked: _Asked) -> Sequence[Chunk]:
        active = asked.active
        match asked.answer:
            case None:
                active.unanswered += 1
                if active.unanswered > UNANSWERED:
                    active.stop = Retry(code="null", reason="Facebook leaves the question out.")
            case Reply() as reply:
                active.unanswered = 0
                try:
                    return await asked.question.hear(reply)
                except Unavailable:
                    raise
                except PagewireError as error:
                    active.stop = Broken(code="reply", reason=str(error))
                    if isinstance(error, GoesInCircles):
                        # It moves all the same: only here is it known that it never ends.
                        active.tries = TRIES
            case Retry() | Snooze() | PauseApp() | ParkPage() as verdict:
                if not isinstance(active.stop, ParkPage):
                    active.stop = verdict
            case verdict:
                chunks = asked.question.refuse(verdict)
                if chunks is not None:
                    return chunks
                active.stop = active.stop or verdict
        return ()

    async def _write(self, heard: _Heard) -> None:
        for active, chunks in heard:
            for chunk in chunks:
                if not active.is_lost:
                    await self._write_chunk(active, chunk)
                await asyncio.sleep(0)
        leaving, self._leaving = self._leaving, []
        for active in leaving:
            if not active.is_lost:
                await self._lease.let_go(active)
                if active.is_complete:
                    await self._tools.modes.follow(active.run)

    async def _write_chunk(self, active: Active, chunk: Chunk) -> None:
        async def keep(connection: Connection) -> None:
            await runs.keep(
                connection,
                active.run,
                self._lease.id,
                place=chunk.place,
                counts=active.inquiry.counts,
                marks=chunk.marks,
            )

        try:
            applied = await self._tools.storing.write(chunk.events, chunk.rejected, keep)
        except LeaseLost:
            active.is_lost = True
            self._active = [other for other in self._active if other is not active]
            return
        if chunk.place is not None:
            active.tries = 0
        _count(active.inquiry.counts, chunk, applied)


def _wait_for_budget(seconds: float) -> Snooze:
    return Snooze(
        code="budget", reason="The Page's calls are used up for now.", seconds=math.ceil(seconds)
    )


def _count(counts: Counts, chunk: Chunk, applied: Applied) -> None:
    for key in chunk.counted:
        counts.total += 1
        if key in applied.new_conversations:
            counts.inserted += 1
        elif key in applied.changes:
            counts.updated += 1
        else:
            counts.skipped += 1
    counts.synced = counts.inserted + counts.updated
    counts.events_created += applied.new_messages
