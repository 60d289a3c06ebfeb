"""Asks Graph within the shared budget: one question, or fifty in one request."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct, structs

from shared import metrics
from shared.config import Secret
from shared.facebook.graph.client import AnswerTooLarge, Client, GraphUnavailable
from shared.facebook.graph.errors import ParkPage, PauseApp, Retry, Shrink, Snooze, Verdict, judge
from shared.facebook.graph.limits import Budget, Grant, Priority
from shared.facebook.graph.replies import Reply
from shared.facebook.graph.requests import Request
from shared.facebook.graph.usage import Spent

PATIENCE = 30
"""Seconds an answer may take before it is asked for in smaller pieces."""


class Ask(Struct, frozen=True, kw_only=True):
    """A request in the name of a Page."""

    page_id: str
    instagram_id: str | None
    token: Secret
    request: Request


_BATCH = Request(path="", about="app")

Answer: TypeAlias = Reply | Verdict | None
"""A good reply, what a bad one asks us to do, or None where Facebook did not get to it."""


class Graph:
    """The Graph API as the syncs see it."""

    def __init__(self, client: Client, budget: Budget) -> None:
        self._client = client
        self._budget = budget

    async def admit(self, calls: Mapping[str, int], priority: Priority) -> dict[str, Grant]:
        """Take calls from the budget, up to so many for each Page."""
        return await self._budget.take(calls, priority)

    async def ask(self, asks: Sequence[Ask]) -> list[Answer]:
        """Ask at most fifty questions, calls for which were admitted; each is judged alone."""
        try:
            async with asyncio.timeout(PATIENCE):
                outer, replies = await self._send(asks)
        except TimeoutError:
            return [Shrink(code="timeout", reason="Facebook takes too long to answer.")] * len(asks)
        except AnswerTooLarge as error:
            return [Shrink(code="size", reason=str(error))] * len(asks)
        except GraphUnavailable as error:
            return [Retry(code="network", reason=str(error))] * len(asks)
        answers: list[Answer] = (
            [_judged(ask.request, reply) for ask, reply in zip(asks, replies, strict=True)]
            if replies
            else [_of_all(outer)] * len(asks)
        )
        return await self._learn(asks, outer, replies, answers)

    async def _send(self, asks: Sequence[Ask]) -> tuple[Reply, Sequence[Reply | None]]:
        if len(asks) == 1:
            reply = await self._client.send(asks[0].request, asks[0].token)
            return reply, [reply]
        return await self._client.send_batch([(ask.request, ask.token) for ask in asks])

    async def _learn(
        self,
        asks: Sequence[Ask],
        outer: Reply,
        replies: Sequence[Reply | None],
        answers: list[Answer],
    ) -> list[Answer]:
        """Tell the budget what the answers cost, and close it where they ask for a pause."""
        app, paused = outer.usage.app, 0
        pages: dict[str, Spent] = {}
        for n, (ask, answer) in enumerate(zip(asks, answers, strict=True)):
            reply = replies[n] if replies else None
            app = max(app, reply.usage.app if reply else 0)
            spent = _worst(
                pages.get(ask.page_id, Spent()),
                outer.usage.of(ask.page_id, ask.instagram_id),
                reply.usage.of(ask.page_id, ask.instagram_id) if reply else Spent(),
            )
            if isinstance(answer, Snooze):
                # Facebook's own time, where it names one, is better than our guess.
                closed = spent.closed_seconds or answer.seconds
                answers[n] = structs.replace(answer, seconds=closed)
                spent = Spent(spent.percent, closed)
            elif isinstance(answer, PauseApp):
                paused = max(paused, answer.seconds)
            pages[ask.page_id] = spent
        for answer in answers:
            metrics.graph_answers.labels(type(answer).__name__).inc()
        await self._budget.learn(Spent(app, paused), pages)
        return answers


def _worst(*told: Spent) -> Spent:
    return Spent(max(one.percent for one in told), max(one.closed_seconds for one in told))


def _judged(request: Request, reply: Reply | None) -> Answer:
    if reply is None:
        return None
    return judge(request, reply.status, reply.body) or reply


def _of_all(outer: Reply) -> Verdict:
    """Judge the refusal of a whole batch: it says nothing about any one Page."""
    verdict = judge(_BATCH, outer.status, outer.body)
    if verdict is None or isinstance(verdict, ParkPage):
        code = verdict.code if verdict else "batch"
        return Retry(code=code, reason="Facebook refuses the app's batch: check the app's secret.")
    return verdict
