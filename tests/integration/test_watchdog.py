"""A loop that stands still is noticed while it does, with the place where it stands."""

import asyncio
import subprocess
import sys
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


HANGS = """
import asyncio
from shared import watchdog

async def never():
    await asyncio.Event().wait()

async def main():
    stop = asyncio.Event()
    stop.set()
    hands = asyncio.create_task(never(), name="hands")
    await asyncio.gather(hands, watchdog.end_in_time(stop))

watchdog.LATEST_EXIT = 0.1
asyncio.run(main())
"""


def test_a_process_that_does_not_end_is_ended_and_says_what_hangs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert "does_not_end" in done.stdout
    assert "hands: never:" in done.stdout
