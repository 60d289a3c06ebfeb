"""What the numbers promise beyond prometheus-client's own."""

import math

import pytest
from prometheus_client import REGISTRY, Histogram

from shared.metrics import Passing, Spread


def test_a_number_that_another_process_counts_now_is_none_any_more(monkeypatch: pytest.MonkeyPatch):
    clock = 0.0
    monkeypatch.setattr("shared.metrics.time.monotonic", lambda: clock)
    passing = Passing("tested_passing", "A number.", lasts=60)
    assert math.isnan(REGISTRY.get_sample_value("tested_passing"))
    passing.set(3)
    clock = 60
    assert REGISTRY.get_sample_value("tested_passing") == 3
    clock = 61
    assert math.isnan(REGISTRY.get_sample_value("tested_passing"))
    REGISTRY.unregister(passing)


def test_amounts_observed_together_count_as_if_one_by_one():
    amounts = [0.0, 0.1, 0.1, 0.10001, 1, 7]
    together = Spread("tested_spread", "Together.", ["stage"], buckets=(0.1, 1))
    alone = Histogram("tested_alone", "One by one.", ["stage"], buckets=(0.1, 1))
    together.labels("one").observe_all(amounts)
    together.labels("one").observe_all([])
    for amount in amounts:
        alone.labels("one").observe(amount)
    for name, labels in (
        ("sum", {}),
        ("count", {}),
        *(("bucket", {"le": le}) for le in ("0.1", "1.0", "+Inf")),
    ):
        told = [
            REGISTRY.get_sample_value(f"{metric}_{name}", {"stage": "one"} | labels)
            for metric in ("tested_spread", "tested_alone")
        ]
        assert told[0] == pytest.approx(told[1])
        assert told[1]
    REGISTRY.unregister(together)
    REGISTRY.unregister(alone)
