"""What the suite found, as JSON and as a table that can be quoted."""

import json
import os
import platform
from collections import Counter
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / ".pagewire" / "reports"


class Report:
    """Collects over a whole run; `write` leaves it in FOLDER."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.acked = self.lost = self.doubled = self.diverged = 0
        self.ack_seconds: list[float] = []
        self.faults: Counter[str] = Counter()
        self.recoveries: dict[str, list[float]] = {}
        self.refused_while_one_store_was_away = 0
        self.lost_bodies = self.reported_lost = 0
        self.taken_over: list[float] = []
        self.rounds: list[dict[str, Any]] = []
        self.figures: dict[str, Any] = {}

    def recovered(self, fault: str, seconds: float) -> None:
        self.faults[fault] += 1
        self.recoveries.setdefault(fault, []).append(seconds)

    def line(self) -> str:
        return (
            f"RELIABILITY acked={self.acked:,} lost={self.lost} dup={self.doubled}"
            f" diverged={self.diverged} faults={self.faults.total()}/{len(self.faults)} kinds"
            f" ack_p99={self._ack(0.99):.0f}ms max={self._ack(1):.0f}ms seed={self.seed}"
        )

    def write(self) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        found = self._found()
        (FOLDER / "faults.json").write_text(json.dumps(found, indent=2) + "\n")
        rows = [f"| {name} | {value} |" for name, value in self._table(found)]
        kinds = [
            f"| {kind} | {len(took)} | {max(took):.1f} |"
            for kind, took in sorted(self.recoveries.items())
        ]
        (FOLDER / "faults.md").write_text(
            "\n".join(
                ["| what | found |", "|---|---|", *rows, "",
                 "| fault | times | longest recovery, s |", "|---|---|---|", *kinds, ""]
            )
        )  # fmt: skip

    def _ack(self, part: float) -> float:
        times = sorted(self.ack_seconds)
        return 1000 * times[min(len(times) - 1, int(len(times) * part))] if times else 0.0

    def _found(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
            "acked": self.acked,
            "lost": self.lost,
            "doubled": self.doubled,
            "diverged": self.diverged,
            "non_200_while_one_store_was_away": self.refused_while_one_store_was_away,
            "faults": dict(self.faults),
            "ack_ms": {str(part): round(self._ack(part), 1) for part in (0.5, 0.99, 1)},
            "recovery_seconds": {
                kind: [round(one, 2) for one in took] for kind, took in self.recoveries.items()
            },
            "figures": self.figures,
            "rounds": self.rounds,
        }

    def _table(self, found: dict[str, Any]) -> list[tuple[str, Any]]:
        return [
            ("items acknowledged", f"{self.acked:,}"),
            ("lost / doubled / diverged", f"{self.lost} / {self.doubled} / {self.diverged}"),
            ("faults / kinds", f"{self.faults.total()} / {len(self.faults)}"),
            ("non-200 with one store away, after its first second",
             self.refused_while_one_store_was_away),
            ("ack p50 / p99 / max, ms", " / ".join(str(v) for v in found["ack_ms"].values())),
            *((name.replace("_", " "), value) for name, value in self.figures.items()),
            ("seed", self.seed),
            ("machine", found["machine"]),
        ]  # fmt: skip
