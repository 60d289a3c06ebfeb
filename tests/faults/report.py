"""What the suite found, as JSON and as the table that the README quotes.

    python -m tests.faults.report

puts the table of the last run into the README.
"""

import json
import os
import platform
from collections import Counter
from pathlib import Path
from typing import Any

from tests.faults import matrix

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".pagewire" / "reports"
BEGIN, END = "<!-- faults: begin -->\n", "<!-- faults: end -->\n"


class Report:
    """Collects over a whole run; `write` leaves it in FOLDER."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.acked = self.lost = self.doubled = self.diverged = 0
        self.lost_bodies = self.reported_lost = 0
        self.ack_seconds: list[float] = []
        self.faults: Counter[str] = Counter()
        self.recoveries: dict[str, list[float]] = {}
        self.taken_over: list[float] = []
        self.refused_while_one_store_was_away = 0
        self.rounds: list[dict[str, Any]] = []
        self.figures: dict[str, Any] = {}

    def recovered(self, fault: str, seconds: float) -> None:
        self.faults[fault] += 1
        self.recoveries.setdefault(fault, []).append(seconds)

    def count(self, what: str, number: int) -> None:
        """Add to a figure that several tests make together."""
        self.figures[what] = self.figures.get(what, 0) + number

    def line(self) -> str:
        return (
            f"RELIABILITY acked={self.acked:,} lost={self.lost} dup={self.doubled}"
            f" diverged={self.diverged} faults={self.faults.total()}/{len(self.faults)} kinds"
            f" non200_one_store_away={self.refused_while_one_store_was_away}"
            f" taken_over_max={max(self.taken_over, default=0):.1f}s"
            f" drained_after_store_max={self._longest('redis', 'postgres'):.1f}s"
            f" envelopes_lost/reported={self.lost_bodies}/{self.reported_lost}"
            f" ack_p99={self._ack(0.99):.0f}ms max={self._ack(1):.0f}ms seed={self.seed}"
        )

    def write(self) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / "faults.json").write_text(json.dumps(self._found(), indent=2) + "\n")
        (FOLDER / "faults.md").write_text(
            _table(["what", "found"], self._rows())
            + "\n"
            + _table(
                ["fault", "times", "longest recovery, s"],
                [
                    (kind.replace("_", " "), len(took), f"{max(took):.1f}")
                    for kind, took in sorted(self.recoveries.items())
                ],
            )
            + "\n"
            + _table(["fault", "tried where"], matrix.tried_where())
            + "\n"
            + _table(["not tried", "why"], list(matrix.not_tried().items()))
        )

    def _ack(self, part: float) -> float:
        times = sorted(self.ack_seconds)
        return 1000 * times[min(len(times) - 1, int(len(times) * part))] if times else 0.0

    def _longest(self, *kinds: str) -> float:
        return max(
            (max(took) for kind, took in self.recoveries.items() if kind.startswith(kinds)),
            default=0.0,
        )

    def _found(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "machine": _machine(),
            "acked": self.acked,
            "lost": self.lost,
            "doubled": self.doubled,
            "diverged": self.diverged,
            "bodies_lost_with_redis": self.lost_bodies,
            "envelopes_reported_lost": self.reported_lost,
            "non_200_while_one_store_was_away": self.refused_while_one_store_was_away,
            "faults": dict(self.faults),
            "ack_ms": {str(part): round(self._ack(part), 1) for part in (0.5, 0.99, 1)},
            "taken_over_seconds": [round(one, 2) for one in self.taken_over],
            "recovery_seconds": {
                kind: [round(one, 2) for one in took] for kind, took in self.recoveries.items()
            },
            "figures": self.figures,
            "not_tried": matrix.not_tried(),
            "rounds": self.rounds,
        }

    def _rows(self) -> list[tuple[Any, ...]]:
        acks = " / ".join(f"{self._ack(part):.0f}" for part in (0.5, 0.99, 1))
        return [
            ("items acknowledged", f"{self.acked:,}"),
            ("lost / doubled / diverged", f"{self.lost} / {self.doubled} / {self.diverged}"),
            ("faults / kinds", f"{self.faults.total()} / {len(self.faults)}"),
            ("valid requests not answered 200 with one store away, after its first second",
             self.refused_while_one_store_was_away),
            ("Redis or Postgres back: backlog empty after at most, s",
             f"{self._longest('redis', 'postgres'):.1f}"),
            ("worker killed: its entries applied by others after at most, s",
             f"{max(self.taken_over, default=0):.1f}"),
            ("bodies that went with a wiped Redis / envelopes reported lost",
             f"{self.lost_bodies} / {self.reported_lost}"),
            ("ack p50 / p99 / max through all of it, ms", acks),
            *((name, f"{found:,}" if isinstance(found, int) else found)
              for name, found in self.figures.items()),
            ("seed", self.seed),
            ("machine", _machine()),
        ]  # fmt: skip


def _machine() -> str:
    return f"{os.cpu_count()} cores, Python {platform.python_version()}"


def _table(head: list[str], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def quote(readme: str, report: str) -> str:
    """Return a README with the first table of a report between its two marks."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + report.split("\n\n", maxsplit=1)[0] + "\n" + END + after


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(quote(path.read_text(), (FOLDER / "faults.md").read_text()))
