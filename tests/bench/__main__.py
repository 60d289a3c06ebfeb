"""`python -m tests.bench [--short] [--rounds N] [--only TEXT]`: Pagewire beside peers and limits.

Everything runs one after the other on the same PostgreSQL and the same Valkey, both waiting for
the disk, in an order that changes from round to round. Prints a Markdown table of medians and
the ratios; keeps both, and the figures of every round, in `build/bench/`. Three rounds of
everything also write the ratios into the README.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import asyncpg

from deploy.local import servers as local
from tests.bench import report
from tests.bench.figures import Figures
from tests.bench.loads import SHORT, WHOLE, cases
from tests.bench.systems import Servers, available
from tests.stack import ROOT

KEPT = ROOT / "build" / "bench"
LONGEST = 180
"""Seconds after which a case is given up, and the run with it: something hangs."""


async def measure(servers: Servers, arguments: argparse.Namespace) -> report.Rounds:
    """Run every case in every round; return the figures by load and system."""
    found: report.Rounds = {}
    size = SHORT if arguments.short else WHOLE
    made = cases(servers, available(), size)
    made = [one for one in made if arguments.only in f"{one.load} {one.system.name}"]
    for number in range(arguments.rounds):
        for one in random.Random(number).sample(made, len(made)):
            async with asyncio.timeout(LONGEST):
                figures: Figures = await one.run()
            print(f"{number + 1}: {one.load}, {one.system.name}: {figures}", file=sys.stderr)
            found.setdefault((one.load, one.system.name), []).append(figures)
    return {(one.load, one.system.name): found[one.load, one.system.name] for one in made}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--short", action="store_true", help="one small round")
    parser.add_argument("--rounds", type=int, help="default: 3, or 1 with --short")
    parser.add_argument("--only", default="", help="the loads and systems that contain this text")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.short else 3)
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="pagewire-bench-")))
        folder.chmod(0o755)  # lest the data live elsewhere, and stay
        with local.postgres(folder) as postgres:
            asyncio.run(track_commits(postgres))
        KEPT.mkdir(parents=True, exist_ok=True)
        servers = Servers(
            opened.enter_context(local.postgres(folder)),
            opened.enter_context(local.redis(folder)),
            KEPT,
        )
        machine = asyncio.run(report.machine(servers))
        rounds = asyncio.run(measure(servers, arguments))
    text = report.markdown(machine, rounds)
    (KEPT / "bench.md").write_text(text)
    kept = [{"load": load, "system": name, "rounds": each} for (load, name), each in rounds.items()]
    (KEPT / "bench.json").write_text(json.dumps({"machine": machine, "figures": kept}, indent=1))
    if arguments.rounds >= 3 and not arguments.only:
        readme = ROOT / "README.md"
        readme.write_text(report.into(readme.read_text(), machine, rounds))
    print(text)


async def track_commits(postgres: str) -> None:
    """Let PostgreSQL keep when each transaction was committed: the same clock for everybody."""
    connection = await asyncpg.connect(postgres)
    await connection.execute("alter system set track_commit_timestamp = on")
    await connection.close()


if __name__ == "__main__":
    main()
