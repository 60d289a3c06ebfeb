"""What the benchmark has to show, and whether it does; pure."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from deploy.check.measured import Figures, number, table

QUEUEING = ("arq-per-event", "bullmq", "celery")
"""The peers that answer first and store later, as we do."""

SMALL, LARGE = "growth, 500,000 messages", "growth, 5,000,000 messages"


class Target(NamedTuple):
    """A figure, and the least or the most it may be; with neither it is told for its own sake."""

    what: str
    reached: float | None
    least: float | None = None
    most: float | None = None

    @property
    def wanted(self) -> str:
        if self.least is not None:
            return f"at least {number(self.least)}"
        return "" if self.most is None else f"at most {number(self.most)}"

    @property
    def verdict(self) -> str:
        """Say whether it is met, or by how much it is missed."""
        if self.reached is None or (limit := self._limit) is None:
            return ""
        over = limit - self.reached if self.least is not None else self.reached - limit
        if over <= 0:
            return "met"
        percent = 100 * over / limit if limit else 0
        return f"missed by {percent:.{percent < 1:d}f} %" if limit else f"missed by {number(over)}"

    @property
    def _limit(self) -> float | None:
        return self.most if self.least is None else self.least


def written(figures: Figures) -> str:
    """Return every target, what was reached, and whether that is enough."""
    return _table(_all(figures))


def measured(figures: Figures) -> str:
    """Return the same of those that a run was about."""
    return _table(it for it in _all(figures) if it.reached is not None)


def _table(targets: Iterable[Target]) -> str:
    rows = [[it.what, it.wanted, number(it.reached), it.verdict] for it in targets]
    return table(["what", "wanted", "reached", ""], rows)


def _all(figures: Figures) -> Iterator[Target]:
    yield from _acks(figures)
    yield from _visible(figures)
    yield from _stored(figures)
    yield from _duplicates(figures)
    yield from _syncs(figures)
    yield from _growth(figures)
    yield Target("idle: % of one core", figures.of("idle", "cpu_percent"), most=2)
    yield Target("idle: Redis commands a second", figures.of("idle", "redis_commands_per_s"))
    for name, words in (("lost", "lost"), ("out_of_order", "out of order")):
        yield Target(f"{words}, in all rounds of all loads", figures.sum_of(name), most=0)


def _acks(figures: Figures) -> Iterator[Target]:
    load = "ack, 64 connections"
    ours = figures.of(load, "posts_per_s")
    for least, system in ((0.55, "bare handler"), (0.9, "handler without a store")):
        theirs = figures.of(load, "posts_per_s", system)
        yield Target(f"acknowledged, of what a {system} does", _ratio(ours, theirs), least=least)
    ack = figures.of("600 events/s", "ack_p99_ms")
    yield Target("acknowledged at 600/s: p99, ms", ack, most=10)


def _visible(figures: Figures) -> Iterator[Target]:
    for rate in (50, 200, 600, 1000, 2500):
        load = f"{rate} events/s"
        if rate < 2500:
            yield Target(
                f"visible at {rate}/s: p50, ms", figures.of(load, "visible_p50_ms"), most=4
            )
        most = 12 if rate < 2500 else 25
        yield Target(f"visible at {rate}/s: p99, ms", figures.of(load, "visible_p99_ms"), most=most)
    for rate in (50, 200, 600):
        for part in ("p50", "p99"):
            yield from _beside_peers(figures, f"{rate} events/s", part)
    alone, inline = (
        figures.of("one at a time", "visible_p50_ms", system) for system in ("pagewire", "original")
    )
    slower = None if alone is None or inline is None else alone - inline
    yield Target("one at a time: p50, ms more than within the request", slower, most=3)
    load = "200 events/s beside a sync-all"
    yield Target("beside a sync-all: p99, of that alone", figures.of(load, "of_alone"), most=2)
    yield Target("one conversation, 100/s: p95, ms", _hot(figures, 100), most=10)
    yield Target("one conversation, 500/s: p95, ms", _hot(figures, 500))


def _beside_peers(figures: Figures, load: str, part: str) -> Iterator[Target]:
    """Ours beside the best of those who store later."""
    name = f"visible_{part}_ms"
    theirs = {peer: it for peer in QUEUEING if (it := figures.of(load, name, peer)) is not None}
    if theirs:
        best = min(theirs, key=lambda peer: theirs[peer])
        ratio = _ratio(figures.of(load, name), theirs[best])
        at = load.removesuffix(" events/s")
        yield Target(f"visible at {at}/s: {part}, of the best peer's ({best})", ratio, most=1)


def _hot(figures: Figures, rate: int) -> float | None:
    return figures.of(f"one conversation, {rate}/s", "visible_p95_ms")


def _stored(figures: Figures) -> Iterator[Target]:
    one = "stored, 1 event a POST"
    ours = figures.of(one, "events_per_s")
    yield Target("stored a second, one a POST", ours, least=8000)
    for peer in (*QUEUEING, "original"):
        ratio = _ratio(ours, figures.of(one, "events_per_s", peer))
        yield Target(f"the same, of {peer}", ratio, least=10 if peer == "arq-per-event" else None)
    for each, least in ((10, 20_000), (1000, None)):
        found = figures.of(f"stored, {each:,} events a POST", "events_per_s")
        yield Target(f"stored a second, {each:,} a POST", found, least=least)
    alone, two = (figures.of(f"backlog, {n} worker(s)", "events_per_s") for n in (1, 2))
    yield Target("out of a backlog a second, one worker", alone, least=20_000)
    of_copy = figures.of("backlog, 1 worker(s)", "of_copy")
    yield Target("the same, of COPY into the same tables", of_copy, least=0.25)
    yield Target("two workers, of one", _ratio(two, alone), least=1)


def _duplicates(figures: Figures) -> Iterator[Target]:
    load = "50 % duplicates"
    yield Target("a duplicate's CPU, of a new event's", figures.of(load, "of_new"), most=0.5)
    with_stores = figures.of(load, "of_new_with_stores")
    yield Target("the same, with PostgreSQL's and Valkey's", with_stores)
    wal = figures.of(load, "duplicate_wal_bytes")
    yield Target("a duplicate's WAL, bytes", wal, most=10)
    yield Target("row versions by duplicates", figures.of(load, "new_versions"), most=0)


def _syncs(figures: Figures) -> Iterator[Target]:
    full, within = "sync of 1,000 conversations", "the same, 2 calls a second"
    all_of_them = "sync-all of 50 Pages"
    yield Target(
        "full sync, 500 ms a call: time, of its bound", figures.of(full, "of_bound"), most=1.15
    )
    yield Target(
        "full sync, 2 calls a second: time, of its bound", figures.of(within, "of_bound"), most=1.15
    )
    yield Target("the same: calls refused", figures.of(within, "calls_refused"), most=0)
    yield Target("10 changed of 1,000: calls", figures.of(full, "incremental_calls"), most=2)
    over = figures.of(full, "incremental_over_ms")
    yield Target("10 changed of 1,000: ms over their latency", over, most=50)
    ratio = _ratio(figures.of(all_of_them, "calls"), figures.of(all_of_them, "rounds"))
    yield Target("sync-all of 50 Pages: requests, of rounds", ratio, most=1)
    yield Target("the same: time, of its bound", figures.of(all_of_them, "of_bound"))
    wrong = figures.of(all_of_them, "messages_unlike_the_truth")
    yield Target("the same: messages unlike the truth", wrong, most=0)


def _growth(figures: Figures) -> Iterator[Target]:
    for name, words, least, most in (
        ("events_per_s", "stored a second", 0.75, None),
        ("list_p99_ms", "a Page's list p99", None, 1.25),
        ("thread_p99_ms", "a thread p99", None, 1.25),
    ):
        ratio = _ratio(figures.of(LARGE, name), figures.of(SMALL, name))
        yield Target(f"5 million messages: {words}, of that at 0.5", ratio, least, most)
    yield Target("5 million messages: worker, MB", figures.of(LARGE, "worker_mb"), most=200)


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else one / other
