"""What the numbers promise beyond prometheus-client's own."""

import math

import pytest
from prometheus_client import REGISTRY

from shared.metrics import Passing


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
