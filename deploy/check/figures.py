"""Writes measured figures into the README and the guides: `make figures`, after `make bench`.

They come from deploy/guides/figures.json, a copy of what the benchmark left. A page has a pair of
comments, `<!-- figures: NAME -->` and `<!-- end of figures -->`, and nothing between them is
written by hand.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

from deploy.check.tools import REPOSITORY

KEPT = REPOSITORY / "deploy/guides/figures.json"
PAGES = ("README.md", "deploy/guides/scaling.md")

DAY = 86_400
A_DAY = 100_000_000
"""The messages a day that the arithmetic is about."""

MEMORY = 16_000_000_000
"""Bytes of memory Postgres may keep indexes in, to reckon with."""

PEAK = 4
"""The busiest second of a day, in averages: an assumption, said where it is used."""

SYSTEMS = {
    "pagewire": "Pagewire",
    "bullmq": "Fastify + BullMQ, a job an event",
    "celery": "FastAPI + Celery, a task an event, a lock a conversation",
    "arq-per-event": "aiohttp + arq, a job an event",
    "original": "the replaced system: everything within the request",
}
OURS = "pagewire"
_MARK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)

Measured: TypeAlias = Mapping[tuple[str, str], Mapping[str, float]]


class Figures:
    """The medians of a run, by load and system, and what it ran on."""

    def __init__(self, kept: Mapping[str, Any]) -> None:
        self.machine: Mapping[str, str] = kept["machine"]
        self._found: Measured = {
            (one["load"], one["system"]): {
                name: median(each[name] for each in one["rounds"] if name in each)
                for name in one["rounds"][0]
            }
            for one in kept["figures"]
        }

    def of(self, load: str, name: str, system: str = OURS) -> float | None:
        """Return a figure, None where it was not measured."""
        return self._found.get((load, system), {}).get(name)


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
            _number(figures.of("stored, 1 event a POST", "events_per_s", system)),
        ]
        for system, words in SYSTEMS.items()
        if any(figures.of(load, "visible_p99_ms", system) is not None for load in measured)
    ]
    return _table(head, rows) + "\n" + where(figures)


def capacity(figures: Figures) -> str:
    """Return what one machine carries, and what that makes of a large day."""
    batched, alone = "stored, 10 events a POST", "stored, 1 event a POST"
    rows = [
        [
            "webhooks acknowledged a second, one ingress",
            _number(figures.of("ack, 64 connections", "posts_per_s")),
        ],
        ["acknowledged at 600 a second, ms p50 / p99", _pair(figures, "600 events/s", "ack")],
        ["visible at 1,000 a second, ms p50 / p99", _pair(figures, "1000 events/s", "visible")],
        [
            "events stored a second while they come, one a POST",
            _number(figures.of(alone, "events_per_s")),
        ],
        ["the same, ten a POST", _number(figures.of(batched, "events_per_s"))],
        *(
            [
                f"events a second out of a backlog, {n} ingest worker{'s' if n > 1 else ''}",
                _number(figures.of(f"backlog, {n} worker(s)", "events_per_s")),
            ]
            for n in (1, 2)
        ),
        [
            "bytes an event takes in Postgres, indexes and raw copy included",
            _number(figures.of("backlog, 1 worker(s)", "stored_bytes")),
        ],
        [
            "of these, indexes of `messages`",
            _number(figures.of("backlog, 1 worker(s)", "index_bytes")),
        ],
        ["bytes of WAL an event", _number(figures.of("50 % duplicates", "new_wal_bytes"))],
        ["CPU, idle, % of one core", _number(figures.of("idle", "cpu_percent"))],
    ]
    return _table(["on one machine of two cores", "measured"], rows) + "\n" + where(figures)


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
            f"{peak:,.0f} / {_number(door)}, and one to lose",
            f"{_whole(peak, door) + 1}",
        ],
        [
            "ingest workers for the peak",
            f"{peak:,.0f} / {_number(worker)}, and one to lose",
            f"{_whole(peak, worker) + 1}",
        ],
        [
            "cores for ingress and ingest at the peak",
            f"{cpu:.2f} s a thousand x {peak / 1000:.1f} thousand a second",
            f"{cpu * peak / 1000:.1f}",
        ],
        [
            "WAL Postgres writes",
            f"{_number(wal)} bytes x {A_DAY:,}",
            f"{wal * A_DAY / 1e9:,.0f} GB a day, {wal * average / 1e6:,.1f} MB a second",
        ],
        [
            "what Postgres grows by, raw copies included",
            f"{_number(stored)} bytes x {A_DAY:,}",
            f"{stored * A_DAY / 1e9:,.0f} GB a day" if stored else "not measured",
        ],
        [
            f"messages whose indexes fit into {MEMORY / 1e9:.0f} GB of memory",
            f"{MEMORY:,} / {_number(index)} bytes",
            f"{MEMORY / index / 1e6:,.0f} million" if index else "not measured",
        ],
    ]
    return _table(["a hundred million messages a day", "reckoned", "that is"], rows)


WRITTEN: Mapping[str, Callable[[Figures], str]] = {
    "peers": peers,
    "capacity": capacity,
    "arithmetic": arithmetic,
}


def filled(page: str, figures: Figures) -> str:
    """Return a page with everything between its marks written anew."""
    return _MARK.sub(lambda mark: mark[1] + WRITTEN[mark[2]](figures) + mark[3], page)


def _whole(need: float, one: float) -> int:
    return -int(-need // one) if one else 0


def _pair(figures: Figures, load: str, what: str, system: str = OURS) -> str:
    found = [figures.of(load, f"{what}_{part}_ms", system) for part in ("p50", "p99")]
    return "not measured" if None in found else " / ".join(map(_number, found))


def _number(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Write every page anew."""
    figures = Figures(json.loads(KEPT.read_text()))
    for name in PAGES:
        page: Path = REPOSITORY / name
        page.write_text(filled(page.read_text(), figures))


if __name__ == "__main__":
    main()
