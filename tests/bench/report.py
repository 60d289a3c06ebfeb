"""The tables, and what they were measured on."""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

import asyncpg

from deploy.check import targets
from deploy.check.measured import Figures as Measured
from deploy.check.measured import Kept, number, table
from shared.redis import connect
from tests.bench.figures import Figures, percentile
from tests.bench.servers import KEPT, Servers
from tests.bench.systems import CELERY

Rounds = dict[tuple[str, str], list[Figures]]

COLUMNS = {
    "ack ms p50 / p99": ("ack_p50_ms", "ack_p99_ms"),
    "visible ms p50 / p99": ("visible_p50_ms", "visible_p99_ms"),
    "lost": ("lost",),
    "out of order": ("out_of_order",),
    "CPU s per 1,000: its own / the stores'": ("cpu_s_per_1000", "stores_cpu_s_per_1000"),
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
        "command": " ".join(["python", *sys.orig_argv[1:]]),
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


def kept(name: str, machine: Mapping[str, str], rounds: Rounds) -> Measured:
    """Keep the figures of a run as `NAME.json`, its tables as `NAME.md`; return them."""
    found = [
        {"load": load, "system": system, "rounds": each} for (load, system), each in rounds.items()
    ]
    run: Kept = {"machine": machine, "figures": found}
    (KEPT / f"{name}.json").write_text(json.dumps(run, indent=1))
    measured = Measured(run)
    reached = targets.measured(measured)
    (KEPT / f"{name}.md").write_text("\n".join((*_told(machine, rounds), reached)))
    return measured


def _told(machine: Mapping[str, str], rounds: Rounds) -> Iterator[str]:
    """Yield what it was measured on, and one table of medians."""
    for what, text in machine.items():
        yield f"- {what}: {text}"
    yield f"- medians of {max(map(len, rounds.values()), default=0)} round(s)"
    yield ""
    head = ["load", "system", "a second", *COLUMNS, "more"]
    yield table(head, [[*key, *_cells(_medians(each))] for key, each in rounds.items()])


def _medians(rounds: Sequence[Figures]) -> Figures:
    return {name: median(one[name] for one in rounds if name in one) for name in rounds[0]}


def _cells(figures: Figures) -> Iterator[str]:
    each = [figures[name] for name in ("events_per_s", "posts_per_s") if name in figures]
    yield number(each[0]) if each else ""
    for names in COLUMNS.values():
        yield " / ".join(number(figures[name]) for name in names if name in figures)
    yield ", ".join(
        f"{name} {number(value)}"
        for name, value in figures.items()
        if name not in _SHOWN and (value or name != "refused")
    )


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
