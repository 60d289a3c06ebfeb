"""What the benchmark left, to be asked for by load and system; pure."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, TypeAlias

OURS = "pagewire"

Kept: TypeAlias = Mapping[str, Any]
"""A run as it is kept: `machine`, and `figures` with the `load`, `system` and `rounds` of each."""


class Figures:
    """What a run measured, by load and system, and what it ran on."""

    def __init__(self, kept: Kept) -> None:
        self.machine: Mapping[str, str] = kept["machine"]
        self._rounds: dict[tuple[str, str], list[Mapping[str, float]]] = {
            (one["load"], one["system"]): one["rounds"] for one in kept["figures"]
        }

    def of(self, load: str, name: str, system: str = OURS) -> float | None:
        """Return a figure's median, None where it was not measured."""
        measured = [one[name] for one in self._rounds.get((load, system), ()) if name in one]
        return median(measured) if measured else None

    def sum_of(self, name: str) -> float | None:
        """Return the sum of a figure of ours over all rounds of all loads."""
        measured = [
            one[name]
            for (_, system), rounds in self._rounds.items()
            for one in rounds
            if system == OURS and name in one
        ]
        return sum(measured) if measured else None


def number(value: float | None) -> str:
    """Write a figure with the digits it deserves."""
    if value is None:
        return "not measured"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
