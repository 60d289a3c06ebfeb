"""From the processes' counters to the numbers of the ops page: rates, quantiles, their history.

Counters only grow while a process lives; a process is told from its next start by when it began.
"""

import math
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from msgspec.structs import fields

from ingress.api.shapes import Strip
from shared.heartbeat import Beat, Sample

STEP = 5
"""Seconds between two looks."""

KEPT = 180
"""Looks the history holds: fifteen minutes."""

_WINDOW = 6  # looks that rates and quantiles are of: half a minute

Labels: TypeAlias = tuple[tuple[str, str], ...]
Key: TypeAlias = tuple[str, Labels]


class Numbers:
    """What all processes together did lately."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, float], dict[Key, float]] = {}
        self._grown: deque[dict[Key, float]] = deque(maxlen=_WINDOW)
        self._now: list[Sample] = []
        self._strips: deque[Strip] = deque(maxlen=KEPT)

    def take(self, beats: Iterable[Beat]) -> None:
        """Take in the beats of one look."""
        grown: dict[Key, float] = defaultdict(float)
        before, self._before = self._before, {}
        self._now = []
        for beat in beats:
            self._now += beat.samples
            counted = {_key(one): one.value for one in beat.samples}
            process = (beat.name, beat.started_at)
            self._before[process] = counted
            if process in before:
                for key, value in counted.items():
                    grown[key] += value - before[process].get(key, 0)
        self._grown.append(grown)

    def remember(self, strip: Strip) -> None:
        """Put the numbers of a look into the history."""
        self._strips.append(strip)

    def history(self) -> dict[str, list[float | None]]:
        """Return the last numbers by name, the newest last, None where there was none."""
        missing: list[float | None] = [None] * (KEPT - len(self._strips))
        return {
            one.encode_name: missing + [getattr(strip, one.name) for strip in self._strips]
            for one in fields(Strip)
        }

    def rate(self, name: str) -> float | None:
        """Return by how much a counter grew a second; None before the second look."""
        if len(self._grown) < 2:
            return None
        return self.grown(name) / (STEP * len(self._grown))

    def grown(self, name: str, **labels: str) -> float:
        """Return by how much a counter grew lately, in all processes."""
        return sum(
            value
            for grown in self._grown
            for key, value in grown.items()
            if _matches(key, name, labels)
        )

    def quantile(self, name: str, part: float, **labels: str) -> float | None:
        """Return the value below which that part of a histogram's latest observations lie."""
        buckets: dict[float, float] = defaultdict(float)
        for grown in self._grown:
            for key, value in grown.items():
                if _matches(key, f"{name}_bucket", labels):
                    buckets[float(dict(key[1])["le"])] += value
        return quantile(buckets, part)

    def gauges(self, name: str) -> list[float]:
        """Return a gauge's values, one a process."""
        return [one.value for one in self._now if one.name == name]

    def by_labels(self, name: str) -> dict[Labels, float]:
        """Return a counter's values by its labels, those of all processes added up."""
        found: dict[Labels, float] = defaultdict(float)
        for one in self._now:
            if one.name == name:
                found[_key(one)[1]] += one.value
        return found

    def labelled(self, name: str, label: str) -> dict[str, float]:
        """Return a gauge's greatest value by a label."""
        found: dict[str, float] = {}
        for one in self._now:
            if one.name == name:
                of = one.labels[label]
                found[of] = max(found.get(of, -math.inf), one.value)
        return found


def quantile(buckets: Mapping[float, float], part: float) -> float | None:
    """Return a quantile of cumulative buckets (upper bound -> count), as Prometheus estimates it.

    None without observations; the last bound for what lies beyond it.
    """
    total = buckets.get(math.inf, 0)
    if total <= 0:
        return None
    rank, below, counted = part * total, 0.0, 0.0
    for bound in sorted(buckets):
        if buckets[bound] >= rank:
            if math.isinf(bound):
                return below
            inside = buckets[bound] - counted
            return below + (bound - below) * ((rank - counted) / inside if inside else 1)
        below, counted = bound, buckets[bound]
    return below


def _key(sample: Sample) -> Key:
    return sample.name, tuple(sorted(sample.labels.items()))


def _matches(key: Key, name: str, labels: Mapping[str, str]) -> bool:
    return key[0] == name and labels.items() <= dict(key[1]).items()
