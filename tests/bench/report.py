"""The table, the ratios, and what they were measured on."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import asyncpg

from shared.redis import connect
from tests.bench.figures import Figures, medians, percentile
from tests.bench.systems import CELERY, Servers

Rounds = dict[tuple[str, str], list[Figures]]

OURS = "pagewire"
BEGIN, END = "<!-- make bench writes from here -->", "<!-- to here -->"
COLUMNS = {
    "ack ms p50 / p99": ("ack_p50_ms", "ack_p99_ms"),
    "visible ms p50 / p99": ("visible_p50_ms", "visible_p99_ms"),
    "lost": ("lost",),
    "out of order": ("out_of_order",),
    "CPU s per 1,000": ("cpu_s_per_1000",),
}
_SHOWN = {name for names in COLUMNS.values() for name in names} | {
    "events_per_s",
    "posts_per_s",
    "visible_p95_ms",
}


async def machine(servers: Servers) -> dict[str, str]:
    """Say what it is measured on, with what, and how."""
    connection = await asyncpg.connect(servers.postgres)
    redis = connect(servers.redis)
    try:
        durable = {
            name: await connection.fetchval(f"show {name}")
            for name in ("server_version", "fsync", "synchronous_commit")
        }
        info = await redis.info("server")
        always = await redis.config_get("appendfsync")
    finally:
        await connection.close()
        await redis.aclose()
    packages = ("aiohttp", "asyncpg", "arq", "redis", "msgspec")
    return {
        "command": " ".join(["python -m tests.bench", *sys.argv[1:]]),
        "processor": f"{os.cpu_count()} x {_processor()}",
        "system": platform.platform(),
        "load average at the start": f"{os.getloadavg()[0]:.1f}",
        "fdatasync of 600 bytes, ms p50 / p99": _disk(servers.folder),
        "Python": f"{platform.python_version()}; "
        + ", ".join(f"{name} {version(name)}" for name in packages),
        "PostgreSQL": f"{durable['server_version']}, fsync {durable['fsync']}, "
        f"synchronous_commit {durable['synchronous_commit']}",
        "Valkey": f"{info.get('valkey_version') or info['redis_version']}, "
        f"appendfsync {always['appendfsync']}",
        "peers": f"Celery {_said(CELERY / 'celery', '--version')}, Node {_said('node', '-v')}",
    }


def markdown(measured_on: Mapping[str, str], rounds: Rounds) -> str:
    """Return one table of medians, then the ratios."""
    found = {key: medians(each) for key, each in rounds.items()}
    count = max((len(each) for each in rounds.values()), default=0)
    head = ["load", "system", "a second", *COLUMNS, "more"]
    lines = [f"- {name}: {text}" for name, text in measured_on.items()]
    lines += [f"- medians of {count} round(s)", "", _row(head), _row(["---"] * len(head))]
    lines += [_row([*key, *_cells(figures)]) for key, figures in found.items()]
    lines += ["", "| what | ratio or figure | wanted |", "|---|---|---|"]
    lines += [_row(line) for line in _ratios(found)]
    return "\n".join(lines) + "\n"


def into(document: str, measured_on: Mapping[str, str], rounds: Rounds) -> str:
    """Return a document with the ratios between its two markers."""
    before, rest = document.split(BEGIN)
    _, after = rest.split(END)
    found = {key: medians(each) for key, each in rounds.items()}
    count = max(len(each) for each in rounds.values())
    lines = [
        f"Medians of {count} rounds; generator, servers and Pagewire shared the processor.",
        "",
        *(f"- {name}: {text}" for name, text in measured_on.items()),
        "",
        *("| what | measured | wanted |", "|---|---|---|"),
        *map(_row, _ratios(found)),
    ]
    return before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + after


def _cells(figures: Figures) -> Iterator[str]:
    yield _number(figures.get("events_per_s", figures.get("posts_per_s")))
    for names in COLUMNS.values():
        yield " / ".join(_number(figures[name]) for name in names if name in figures)
    yield ", ".join(
        f"{name} {_number(value)}"
        for name, value in figures.items()
        if name not in _SHOWN and (value or name != "refused")
    )


def _ratios(found: Mapping[tuple[str, str], Figures]) -> Iterator[list[str]]:
    """Set Pagewire beside each limit and peer; what was not measured is left out."""

    def figure(load: str, name: str, system: str = OURS) -> float | None:
        return found.get((load, system), {}).get(name)

    def line(
        what: str, value: float | None, wanted: str, over: float | None = 1
    ) -> Iterator[list[str]]:
        if value is not None and over:
            yield [what, f"{value / over:.3g}", wanted]

    load = "ack, 64 connections"
    yield from line(
        "acks / bare handler",
        figure(load, "posts_per_s"),
        "at least 0.55",
        figure(load, "posts_per_s", "bare handler"),
    )
    yield from line(
        "acks / our handler without a store",
        figure(load, "posts_per_s"),
        "at least 0.9",
        figure(load, "posts_per_s", "handler without a store"),
    )
    for rate in (50, 200, 600, 1000, 2500):
        load = f"{rate} events/s"
        p99 = "under 25" if rate == 2500 else "under 12"
        yield from line(f"visible p50 at {rate}/s, ms", figure(load, "visible_p50_ms"), "under 4")
        yield from line(f"visible p99 at {rate}/s, ms", figure(load, "visible_p99_ms"), p99)
        for peer in sorted(name for at, name in found if at == load and name != OURS):
            ours, theirs = figure(load, "visible_p99_ms"), figure(load, "visible_p99_ms", peer)
            wanted = "under 1" if peer != "original" else ""
            yield from line(f"visible p99 at {rate}/s / {peer}", ours, wanted, theirs)
    yield from line("ack p99 at 600/s, ms", figure("600 events/s", "ack_p99_ms"), "under 10")
    for load in ("one conversation, 100/s", "one conversation, 500/s"):
        wanted = "under 10" if "100" in load else ""
        yield from line(f"{load}: p95, ms", figure(load, "visible_p95_ms"), wanted)
        yield from line(f"{load}: out of order", figure(load, "out_of_order"), "0")
    one, ten = "stored, 1 event a POST", "stored, 10 events a POST"
    yield from line(one, figure(one, "events_per_s"), "at least 8,000")
    for peer in sorted(name for at, name in found if at == one and name != OURS):
        ours, theirs = figure(one, "events_per_s"), figure(one, "events_per_s", peer)
        wanted = "at least 10" if peer == "arq-per-event" else ""
        yield from line(f"{one} / {peer}", ours, wanted, theirs)
    yield from line(ten, figure(ten, "events_per_s"), "at least 20,000")
    load = "backlog, 1 worker(s)"
    alone = figure(load, "events_per_s")
    yield from line(load, alone, "at least 20,000")
    yield from line(f"{load} / COPY", figure(load, "of_copy"), "at least 0.25")
    two = figure("backlog, 2 worker(s)", "events_per_s")
    yield from line("backlog, 2 workers / 1", two, "over 1", alone)
    load = "50 % duplicates"
    yield from line("a duplicate's CPU / a new event's", figure(load, "of_new"), "under 0.5")
    yield from line("a duplicate's WAL, bytes", figure(load, "duplicate_wal_bytes"), "under 10")
    yield from line("row versions by duplicates", figure(load, "new_versions"), "0")
    yield from line("idle, % of one core", figure("idle", "cpu_percent"), "under 2")
    yield from line("idle, Redis commands a second", figure("idle", "redis_commands_per_s"), "")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.machine()


def _disk(folder: Path) -> str:
    """Measure what a commit and an acknowledgement each wait for at least once."""
    took = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(100):
            began = time.perf_counter()
            file.write(bytes(600))
            os.fdatasync(file.fileno())
            took.append(1000 * (time.perf_counter() - began))
    return f"{percentile(took, 50):.2f} / {percentile(took, 99):.2f}"


def _said(*command: str | Path) -> str:
    if shutil.which(command[0]) is None:
        return "none"
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
