"""`python -m tests.bench [--short] [--rounds N] [--only TEXT]`: Pagewire beside peers and limits.

Everything runs one after the other on the same PostgreSQL and the same Valkey, both waiting for
the disk, in an order that changes from round to round. Prints what was reached of what is wanted;
keeps that, the medians and the figures of every round in `build/bench/`, from where
`make figures` takes them into the guides and the README.
"""

import argparse
import asyncio
import random
import sys
import time

from deploy.check import targets
from shared import log
from tests.bench import report
from tests.bench.figures import Figures
from tests.bench.loads import cases
from tests.bench.loads.size import SHORT, WHOLE
from tests.bench.servers import Servers, opened
from tests.bench.systems import available

LONGEST = 180
"""Seconds after which a case is given up, and the run with it: something hangs."""


async def measure(servers: Servers, arguments: argparse.Namespace) -> report.Rounds:
    """Run every case in every round; return the figures by load and system."""
    found: report.Rounds = {}
    size = SHORT if arguments.short else WHOLE
    made = cases(servers, available(), size)
    made = [one for one in made if arguments.only in f"{one.load}, {one.system.name}"]
    for number in range(arguments.rounds):
        for one in random.Random(number).sample(made, len(made)):
            began = time.monotonic()
            async with asyncio.timeout(LONGEST):
                figures: Figures = await one.run()
            took = f"{time.monotonic() - began:.0f} s"
            print(
                f"{number + 1}: {one.load}, {one.system.name}: {took}, {figures}", file=sys.stderr
            )
            found.setdefault((one.load, one.system.name), []).append(figures)
    return {(one.load, one.system.name): found[one.load, one.system.name] for one in made}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--short", action="store_true", help="one small round")
    parser.add_argument("--rounds", type=int, help="default: 3, or 1 with --short")
    parser.add_argument("--only", default="", help="the loads and systems that contain this text")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.short else 3)
    log.configure("error")
    began = time.monotonic()
    with opened() as servers:
        machine = asyncio.run(report.machine(servers))
        rounds = asyncio.run(measure(servers, arguments))
    machine["it took"] = f"{(time.monotonic() - began) / 60:.1f} minutes"
    if arguments.short:
        print("One short round: the ratios say something, the other figures little.\n")
    print(targets.measured(report.kept("bench", machine, rounds)))


if __name__ == "__main__":
    main()
