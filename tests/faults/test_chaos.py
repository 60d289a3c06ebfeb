"""Under every fault there is a name for, what was acknowledged is applied, once, and rightly."""

import asyncio
import os
import time

import pytest

from shared.tasks import end
from tests.faults.check import Verdict, check, reported_lost
from tests.faults.cluster import Cluster, cluster, until
from tests.faults.facebook import Facebook, Ledger, Life
from tests.faults.length import MINUTES, only_long
from tests.faults.nemesis import (
    FAULTS,
    FEW,
    OTHERS_SHARE,
    PATIENT,
    READY_AGAIN,
    SHORT,
    STORE_FAULTS,
    Nemesis,
)
from tests.faults.report import Report

LANES, BODIES_A_SECOND = 6, 32.0
SHARE = 0.7
"""The part of a long run that is for this test; the others take the rest."""

LONG_ROUND = 240.0  # seconds
REPORTED_WITHIN = 60.0
"""Seconds in which what is lost is told; the workers look every ten and give rings fifteen."""


class Round:
    """One life under one schedule, from the first item to the verdict."""

    def __init__(self, cluster: Cluster, report: Report, seed: int, kinds: list[str]) -> None:
        self.seed = seed
        self.pages = [f"5{seed % 10**8:08}{number}" for number in range(4)]
        self.ledger = Ledger()
        self._cluster, self.report = cluster, report
        cluster.taken_over = report.taken_over
        self._nemesis = Nemesis(seed, kinds)
        self.history: list[str] = []

    async def run(self, seconds: float | None = None) -> Verdict:
        """Deliver and harm for some seconds, or (None) until each kind was had; wait; judge."""
        self._reported_before = await reported_lost(self._cluster)
        for page in self.pages:
            await self._cluster.command("page", "add", page, "--name", "Acme")
        facebook = Facebook(
            Life(self.seed, self.pages),
            self._cluster.url,
            self.ledger,
            self.seed,
            lambda: self._cluster.secret,
        )
        delivering = asyncio.create_task(facebook.deliver(LANES, BODIES_A_SECOND))
        try:
            await self._harm(None if seconds is None else time.monotonic() + seconds)
        except BaseException:
            # An ingress that does not come back would never take what is still to be delivered.
            await end([delivering])
            raise
        facebook.done = True
        await delivering
        await until(self._cluster.drained, 60 * OTHERS_SHARE, "the backlog is empty at the end")
        await self._bring_back_innocents()
        verdict = await check(self._cluster, self.ledger.acked, self.pages)
        if verdict.missing:
            verdict = await self._reported(verdict)
        if verdict.clean:
            # Not before: what was lost would be there again.
            await self._redelivery_changes_nothing(verdict)
        return verdict

    async def _harm(self, until_then: float | None) -> None:
        done: set[str] = set()
        for kind, lasting in self._nemesis.schedule():
            if kind in done if until_then is None else time.monotonic() > until_then:
                return
            done.add(kind)
            await self._suffer(kind, lasting)

    async def _suffer(self, kind: str, lasting: float) -> None:
        began = time.monotonic()
        self.history.append(f"{kind} for {lasting:.1f} s")
        print(f"seed {self.seed}: {self.history[-1]}", flush=True)
        async with FAULTS[kind](self._cluster, self._nemesis.dice):
            await asyncio.sleep(lasting)
        healed_ms = int(time.time() * 1000)
        await until(self._cluster.answers, 30, f"ready after {kind}")
        took = await until(
            lambda: self._cluster.applied_up_to(healed_ms),
            (PATIENT if "worker" in kind else READY_AGAIN) * OTHERS_SHARE,
            f"what came before the end of {kind} is applied",
        )
        self.report.recovered(kind, took)
        if kind in STORE_FAULTS:
            refused = self.ledger.not_ok(began + 1, time.monotonic())
            self.report.refused_while_one_store_was_away += refused.total()
            if refused:
                self.history.append(f"  not 200: {dict(refused)}")
        wrong = self.ledger.not_ok(began, time.monotonic()).keys() & set(range(503)) - {200}
        assert not wrong, f"a valid request was answered {wrong} under {kind}"

    async def _reported(self, verdict: Verdict) -> Verdict:
        """Judge again with what the product reports as lost."""
        reported = 0

        async def all_told() -> bool:
            nonlocal reported
            reported = await reported_lost(self._cluster) - self._reported_before
            return reported >= len(verdict.missing)

        await until(all_told, REPORTED_WITHIN * OTHERS_SHARE, "what is lost is reported")
        missing = len(verdict.missing)
        self.history.append(f"  lost: {missing} bodies, reported: {reported} envelopes")
        self.report.lost_bodies += missing
        self.report.reported_lost += reported
        return await check(self._cluster, self.ledger.acked, self.pages, reported=reported)

    async def _redelivery_changes_nothing(self, verdict: Verdict) -> None:
        """What Facebook tells again, however late, is no change and is announced to nobody."""
        gone = {id(body) for body in verdict.missing}
        there = [body for body in self.ledger.acked if id(body) not in gone]
        sample = self._nemesis.dice.sample(there, min(100, len(there)))
        before = await self._cluster.sql("select count(*) from changes")
        for body in sample:
            assert await self._cluster.stack.post(body.sent) == 200
        await until(self._cluster.drained, 30 * OTHERS_SHARE, "what was told again is applied")
        assert await self._cluster.sql("select count(*) from changes") == before

    async def _bring_back_innocents(self) -> None:
        """An item whose process was killed while it was under suspicion waits for a person."""
        letters = await self._cluster.sql(
            "select count(*) from dead_letters where reason = 'poison' and resolved_at is null"
        )
        if letters != [(0,)]:
            self.history.append(f"  set aside though innocent: {letters[0][0]}")
            await self._cluster.command("dead", "retry", "--reason", "poison")

            async def none_left() -> bool:
                return await self._cluster.drained() and not await self._cluster.sql(
                    "select 1 from dead_letters where reason = 'poison' and resolved_at is null"
                )

            await until(none_left, 60, "letters are retried")


@pytest.mark.skipif("FAULTS_MINUTES" in os.environ, reason="a longer run does more of the same")
@pytest.mark.timeout(600)
async def test_nothing_acknowledged_is_lost_doubled_or_wrong_under_a_few_faults(
    report: Report,
) -> None:
    """The same schedule every time: what every change is tried with."""
    async with cluster() as made:
        await _try(Round(made, report, 7, list(FEW)), None)


@only_long
@pytest.mark.timeout(4000)
async def test_nothing_acknowledged_is_lost_doubled_or_wrong_under_any_fault(
    report: Report,
) -> None:
    over = time.monotonic() + MINUTES * 60 * SHARE
    async with cluster() as made:
        seed, left = report.seed, MINUTES * 60 * SHARE
        while True:
            kinds = list(FAULTS) if MINUTES else list(SHORT)
            await _try(Round(made, report, seed, kinds), min(LONG_ROUND, left) or None)
            seed, left = seed + 1, over - time.monotonic()
            if left < LONG_ROUND / 2:
                break


async def _try(one: Round, seconds: float | None) -> None:
    verdict = await one.run(seconds)
    _note(one, verdict)
    assert verdict.clean, _told(one, verdict)
    assert one.report.refused_while_one_store_was_away == 0, _told(one, verdict)
    assert verdict.items > 1000


def _note(one: Round, verdict: Verdict) -> None:
    report = one.report
    report.acked += verdict.items
    report.lost += verdict.lost
    report.doubled += verdict.doubled
    report.diverged += verdict.diverged
    report.ack_seconds += one.ledger.ack_seconds()
    report.rounds.append(
        {"seed": one.seed, "items": verdict.items, "attempts": len(one.ledger.attempts),
         "schedule": one.history}
    )  # fmt: skip


def _told(one: Round, verdict: Verdict) -> str:
    found = verdict._replace(missing=verdict.missing[:3])
    return "\n".join([f"{found}", *one.history, f"Again: make faults SEED={one.seed}"])
