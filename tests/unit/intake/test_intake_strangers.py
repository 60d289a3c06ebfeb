"""Who knocks without a signature is counted, and the count stays small."""

import pytest

from ingress.webhook import strangers


def test_the_count_of_strangers_is_bounded_and_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "PATIENCE", 1)
    monkeypatch.setattr(strangers, "_MOST_ADDRESSES", 10)
    count = strangers.Strangers()
    assert not any(count.too_many(f"10.0.0.{number}") for number in range(1000))
    assert len(count._knocks) <= 10
    assert not count.too_many("10.0.0.999")
    assert count.too_many("10.0.0.999")
    assert count.busiest() == "10.0.0.999"
    monkeypatch.setattr(strangers, "_MINUTE", -1)
    assert not count.too_many("10.0.0.999")
