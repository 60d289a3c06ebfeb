"""What keeps programs running: order, restarts, and that nothing is ever left behind."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.local import supervisor as under_test
from deploy.local.errors import CannotStart
from deploy.local.process import Program, command_line
from deploy.local.supervisor import Supervisor

WRITE_PID = """
import os, sys
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\\n")
"""
WAIT = """
import signal
while True:
    signal.pause()
"""
IGNORE_SIGTERM = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
"""
SAY_GOODBYE = """
import pathlib, signal, sys
def goodbye(*_):
    me = pathlib.Path(sys.argv[1])
    with me.with_name("goodbyes").open("a") as file:
        file.write(me.name)
    sys.exit()
signal.signal(signal.SIGTERM, goodbye)
"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Program]:
    """A program that prepares, writes its pid to a file of its own name, and goes on."""

    def make(name: str, *, prepare: str = "", go_on: str = WAIT, grace: float = 10) -> Program:
        return Program(
            name=name,
            command=[sys.executable, "-c", prepare + WRITE_PID + go_on, tmp_path / name],
            environment=os.environ,
            log=tmp_path / f"{name}.log",
            answers=lambda _: (tmp_path / name).exists() and (tmp_path / name).stat().st_size > 0,
            grace=grace,
        )

    return make


@pytest.fixture
def pids(tmp_path: Path) -> Callable[[str], list[int]]:
    return lambda name: [int(line) for line in (tmp_path / name).read_text().split()]


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_program_that_falls_is_started_again_and_reported(script, pids):
    said: list[str] = []
    async with Supervisor(said.append) as supervisor:
        await supervisor.start(script("one"))
        os.kill(pids("one")[0], signal.SIGKILL)
        await _until(lambda: len(pids("one")) == 2)
    assert said[0].startswith("one ended (signal 9) and is started again in 0.5 s")


async def test_a_program_that_keeps_falling_is_started_ever_more_rarely(script, pids, monkeypatch):
    waits: list[int] = []
    monkeypatch.setattr(under_test, "pause", lambda falls: waits.append(falls) or 0.0)
    async with Supervisor(lambda _: None) as supervisor:
        await supervisor.start(script("one", go_on="raise SystemExit(3)"))
        await _until(lambda: len(pids("one")) >= 4)
    assert sorted(set(waits))[:3] == [1, 2, 3]


def test_pauses_grow_and_have_a_limit():
    pauses = [under_test.pause(falls) for falls in range(1, 10)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 0.5
    assert pauses[-1] == under_test.LONGEST_PAUSE


async def test_programs_stop_in_reverse_order(script, tmp_path):
    async with Supervisor(lambda _: None) as supervisor:
        for name in ("a", "b", "c"):
            await supervisor.start(script(name, prepare=SAY_GOODBYE))
    assert (tmp_path / "goodbyes").read_text() == "cba"


async def test_a_program_that_does_not_stop_when_asked_is_made_to(script, pids):
    async with Supervisor(lambda _: None) as supervisor:
        await supervisor.start(script("deaf", prepare=IGNORE_SIGTERM, grace=0.1))
    assert command_line(pids("deaf")[0]) == ""


async def test_what_a_program_started_goes_with_it(script, pids):
    async with Supervisor(lambda _: None) as supervisor:
        await supervisor.start(
            script("many", prepare="import os\nos.fork()\n" + IGNORE_SIGTERM, grace=0.1)
        )
        await _until(lambda: len(pids("many")) == 2)
    await _until(lambda: not any(command_line(pid) for pid in pids("many")))


async def test_a_program_that_does_not_come_up_says_what_it_said(script):
    broken = script("broken", prepare="raise SystemExit('no such colour')")
    with pytest.raises(CannotStart, match="no such colour"):
        async with Supervisor(lambda _: None) as supervisor:
            await supervisor.start(broken)


async def test_a_program_that_never_answers_is_given_up(script):
    asked = []
    # What appends to a list answers None.
    mute = replace(script("mute"), answers=asked.append, within=0.3)
    with pytest.raises(CannotStart, match="does not answer"):
        async with Supervisor(lambda _: None) as supervisor:
            await supervisor.start(mute)
    assert command_line(asked[0].pid) == ""


async def test_a_program_that_cannot_be_started_again_is_tried_again(script, pids, tmp_path):
    said: list[str] = []
    (tmp_path / "logs").mkdir()
    program = replace(script("one"), log=tmp_path / "logs" / "one.log")
    async with Supervisor(said.append) as supervisor:
        await supervisor.start(program)
        (tmp_path / "logs").rename(tmp_path / "moved")
        os.kill(pids("one")[0], signal.SIGKILL)
        await _until(lambda: any("one cannot be started" in line for line in said))
        (tmp_path / "moved").rename(tmp_path / "logs")
        await _until(lambda: len(pids("one")) == 2)
