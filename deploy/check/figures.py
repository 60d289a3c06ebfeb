"""Writes measured figures into the README and the guides: `make figures`, after `make bench`.

They come from deploy/guides/figures.json, a copy of what the benchmark left. A page has pairs of
comments, `<!-- figures: NAME -->` and `<!-- end of figures -->`, and nothing between them is
written by hand.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.check import targets
from deploy.check.measured import OURS, Figures, Kept, number, table
from deploy.check.tools import REPOSITORY

KEPT = REPOSITORY / "deploy/guides/figures.json"
LEFT = [REPOSITORY / "build/bench" / name for name in ("bench.json", "growth.json")]
"""What `make bench` and `make bench-growth` leave; the first says what it ran on."""

PAGES = ("README.md", "deploy/guides/scaling.md")

DAY = 86_400
A_DAY = 100_000_000
"""The messages a day that the arithmetic is about."""

MEMORY = 16_000_000_000
"""Bytes of memory Postgres may keep indexes in, to reckon with."""

PEAK = 4
"""The busiest second of a day, in averages: an assumption, said where it is used."""

SIZES = (500_000, 1_000_000, 5_000_000)
"""The messages in the tables that grow."""

SYSTEMS = {
    "pagewire": "Pagewire",
    "bullmq": "Fastify + BullMQ, a job an event",
    "celery": "FastAPI + Celery, a task an event, a lock a conversation",
    "arq-per-event": "aiohttp + arq, a job an event",
    "original": "the replaced system: everything within the request",
}
_MARK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def where(figures: Figures) -> str:
    """Return what it was measured on, in a sentence."""
    machine = figures.machine
    return (
        f"`{machine['command']}` on {machine['processor']}, generator and stores included; "
        f"PostgreSQL {machine['PostgreSQL']}; Valkey {machine['Valkey']}; Python "
        f"{machine['Python'].partition(';')[0]}; load average at the start "
        f"{machine['load average at the start']}.\n"
    )


def peers(figures: Figures) -> str:
    """Return how long a message takes to be in Postgres, ours and theirs side by side."""
    loads = [f"{rate} events/s" for rate in (50, 200, 600)]
    measured = [load for load in loads if figures.of(load, "visible_p99_ms") is not None]
    head = ["to be read in Postgres, ms p50 / p99", *measured, "stored a second"]
    rows = [
        [
            words,
            *(_pair(figures, load, "visible", system) for load in measured),
            number(figures.of("stored, 1 event a POST", "events_per_s", system)),
        ]
        for system, words in SYSTEMS.items()
        if any(figures.of(load, "visible_p99_ms", system) is not None for load in measured)
    ]
    return table(head, rows) + "\n" + where(figures)


def capacity(figures: Figures) -> str:
    """Return what one machine carries, and what that makes of a large day."""
    batched, alone = "stored, 10 events a POST", "stored, 1 event a POST"
    rows = [
        [
            "webhooks acknowledged a second, one ingress",
            number(figures.of("ack, 64 connections", "posts_per_s")),
        ],
        ["acknowledged at 600 a second, ms p50 / p99", _pair(figures, "600 events/s", "ack")],
        ["visible at 1,000 a second, ms p50 / p99", _pair(figures, "1000 events/s", "visible")],
        [
            "events stored a second while they come, one a POST",
            number(figures.of(alone, "events_per_s")),
        ],
        ["the same, ten a POST", number(figures.of(batched, "events_per_s"))],
        *(
            [
                f"events a second out of a backlog, {n} ingest worker{'s' if n > 1 else ''}",
                number(figures.of(f"backlog, {n} worker(s)", "events_per_s")),
            ]
            for n in (1, 2)
        ),
        [
            "bytes an event takes in Postgres, indexes and raw copy included",
            number(figures.of("backlog, 1 worker(s)", "stored_bytes")),
        ],
        [
            "of these, indexes of `messages`",
            number(figures.of("backlog, 1 worker(s)", "index_bytes")),
        ],
        ["bytes of WAL an event", number(figures.of("50 % duplicates", "new_wal_bytes"))],
        ["CPU, idle, % of one core", number(figures.of("idle", "cpu_percent"))],
    ]
    return table(["on one machine of two cores", "measured"], rows) + "\n" + where(figures)


def arithmetic(figures: Figures) -> str:
    """Return what a hundred million messages a day need, reckoned from what was measured."""
    average = A_DAY / DAY
    peak = PEAK * average
    door = figures.of("ack, 64 connections", "posts_per_s") or 0
    worker = figures.of("backlog, 1 worker(s)", "events_per_s") or 0
    cpu = figures.of("1000 events/s", "cpu_s_per_1000") or 0
    wal = figures.of("50 % duplicates", "new_wal_bytes") or 0
    stored = figures.of("backlog, 1 worker(s)", "stored_bytes")
    index = figures.of("backlog, 1 worker(s)", "index_bytes")
    rows = [
        ["on average", f"{A_DAY:,} / {DAY:,} s", f"{average:,.0f} a second"],
        [f"at a peak of {PEAK} averages", f"{PEAK} x {average:,.0f}", f"{peak:,.0f} a second"],
        [
            "ingresses for the peak",
            f"{peak:,.0f} / {number(door)}, and one to lose",
            f"{_whole(peak, door) + 1}",
        ],
        [
            "ingest workers for the peak",
            f"{peak:,.0f} / {number(worker)}, and one to lose",
            f"{_whole(peak, worker) + 1}",
        ],
        [
            "cores for ingress and ingest at the peak",
            f"{cpu:.2f} s a thousand x {peak / 1000:.1f} thousand a second",
            f"{cpu * peak / 1000:.1f}",
        ],
        [
            "WAL Postgres writes",
            f"{number(wal)} bytes x {A_DAY:,}",
            f"{wal * A_DAY / 1e9:,.0f} GB a day, {wal * average / 1e6:,.1f} MB a second",
        ],
        [
            "what Postgres grows by, raw copies included",
            f"{number(stored)} bytes x {A_DAY:,}",
            f"{stored * A_DAY / 1e9:,.0f} GB a day" if stored else "not measured",
        ],
        [
            f"messages whose indexes fit into {MEMORY / 1e9:.0f} GB of memory",
            f"{MEMORY:,} / {number(index)} bytes",
            f"{MEMORY / index / 1e6:,.0f} million" if index else "not measured",
        ],
    ]
    return table(["a hundred million messages a day", "reckoned", "that is"], rows)


def growth(figures: Figures) -> str:
    """Return what tables that grow do to writes and reads."""
    names = {
        "events_per_s": "events stored a second",
        "visible_p99_ms": "visible p99, ms",
        "list_p99_ms": "a Page's list p99, ms",
        "thread_p99_ms": "a thread p99, ms",
        "worker_mb": "worker, MB",
        "table_bytes": "table, bytes a message",
        "index_bytes": "its indexes, bytes a message",
    }
    rows = [
        [words, *(number(figures.of(f"growth, {size:,} messages", name)) for size in SIZES)]
        for name, words in names.items()
    ]
    return table(["messages stored", *(f"{size:,}" for size in SIZES)], rows)


WRITTEN: Mapping[str, Callable[[Figures], str]] = {
    "peers": peers,
    "capacity": capacity,
    "arithmetic": arithmetic,
    "growth": growth,
    "targets": targets.written,
}


def filled(page: str, figures: Figures) -> str:
    """Return a page with everything between its marks written anew."""
    return _MARK.sub(lambda mark: mark[1] + WRITTEN[mark[2]](figures) + mark[3], page)


def _whole(need: float, one: float) -> int:
    return -int(-need // one) if one else 0


def _pair(figures: Figures, load: str, what: str, system: str = OURS) -> str:
    found = [figures.of(load, f"{what}_{part}_ms", system) for part in ("p50", "p99")]
    return "not measured" if None in found else " / ".join(map(number, found))


def _merged(left: Sequence[Path]) -> Kept:
    """Return what several runs left as one; one that never ran is left out."""
    runs: list[Kept] = [json.loads(path.read_text()) for path in left if path.exists()]
    return {**runs[0], "figures": [figures for run in runs for figures in run["figures"]]}


def main() -> None:
    """Keep what was measured, and write every page anew."""
    if LEFT[0].exists():
        KEPT.write_text(json.dumps(_merged(LEFT), indent=1) + "\n")
    figures = Figures(json.loads(KEPT.read_text()))
    for name in PAGES:
        page: Path = REPOSITORY / name
        page.write_text(filled(page.read_text(), figures))


if __name__ == "__main__":
    main()
