"""A loop that stands still is noticed while it does, with the place where it stands."""

import asyncio
import time

import pytest
import structlog

from shared import metrics, watchdog
from shared.watchdog import STILL, Watchdog


def standstills() -> float:
    return metrics.loop_standstills._value.get()


def somebody_who_computes(seconds: float) -> None:
    time.sleep(seconds)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    told: list[dict[str, object]] = []
    keep = structlog.wrap_logger(None, processors=[lambda _, __, event: told.append(event) or ""])
    monkeypatch.setattr(watchdog, "_log", keep)
    return told


async def test_a_standstill_is_told_once_with_its_place(logged: list[dict[str, object]]) -> None:
    stop, before = asyncio.Event(), standstills()
    watching = asyncio.create_task(Watchdog().run(stop))
    await asyncio.sleep(0)
    assert logged == []
    somebody_who_computes(STILL * 5)
    stop.set()
    await watching
    assert standstills() == before + 1
    ((event, at),) = [(one["event"], str(one["at"])) for one in logged]
    assert event == "loop_stands_still"
    assert "somebody_who_computes" in at
