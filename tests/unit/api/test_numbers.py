"""Numbers of many processes, from what each of them counts."""

import math
import time

import pytest

from ingress.api.numbers import KEPT, Numbers, quantile
from ingress.api.shapes import Strip
from shared.heartbeat import Beat, Sample


def beat(name: str, started_at: float = 0, **counted: float) -> Beat:
    return Beat(
        name=name, kind="worker", host="h", pid=1, version="0", started_at=started_at,
        at=time.time(), rss_bytes=None,
        samples=[Sample(f"{one}_total", {}, value) for one, value in counted.items()],
    )  # fmt: skip


def test_a_rate_adds_up_what_grew_in_every_process() -> None:
    numbers = Numbers()
    numbers.take([beat("a", items=100), beat("b", items=7)])
    assert numbers.rate("items_total") is None
    numbers.take([beat("a", items=150), beat("b", items=17)])
    assert numbers.grown("items_total") == 60
    assert numbers.rate("items_total") == 6


def test_a_process_that_starts_again_counts_from_nothing_and_takes_nothing_away() -> None:
    numbers = Numbers()
    numbers.take([beat("a", started_at=1, items=100)])
    numbers.take([beat("a", started_at=2, items=3)])
    assert numbers.grown("items_total") == 0
    numbers.take([beat("a", started_at=2, items=8)])
    assert numbers.grown("items_total") == 5


def test_labels_choose_what_is_added_up() -> None:
    numbers = Numbers()
    for value in (0, 4):
        told = beat("a")
        told.samples.append(Sample("reads_total", {"family": "x", "outcome": "hit"}, value))
        told.samples.append(Sample("reads_total", {"family": "y", "outcome": "hit"}, value))
        told.samples.append(Sample("reads_total", {"family": "x", "outcome": "miss"}, value))
        numbers.take([told])
    assert numbers.grown("reads_total", outcome="hit") == 8
    assert numbers.grown("reads_total", family="x", outcome="miss") == 4
    assert numbers.grown("reads_total") == 12


@pytest.mark.parametrize(
    ("buckets", "part", "expected"),
    [
        ({}, 0.5, None),
        ({1: 0, math.inf: 0}, 0.5, None),
        ({1: 10, 2: 10, math.inf: 10}, 0.5, 0.5),
        ({1: 0, 2: 10, math.inf: 10}, 0.5, 1.5),
        ({1: 5, 2: 10, math.inf: 10}, 0.75, 1.5),
        ({1: 5, 2: 5, math.inf: 10}, 0.99, 2),
    ],
)
def test_a_quantile_lies_within_its_bucket(
    buckets: dict[float, float], part: float, expected: float | None
) -> None:
    assert quantile(buckets, part) == expected


def test_the_history_has_always_the_same_length_and_ends_with_the_newest() -> None:
    numbers = Numbers()
    names = Strip.__struct_fields__
    for value in range(KEPT + 5):
        numbers.remember(Strip(**dict.fromkeys(names, float(value))))
        series = numbers.history()["eventsPerSecond"]
        assert len(series) == KEPT
        assert series[-1] == value
    assert numbers.history()["ackP99Ms"][0] == 5
