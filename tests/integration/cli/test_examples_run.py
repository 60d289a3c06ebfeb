"""Every example in the help of a command is run, in one deployment with everything in it."""

import asyncio
import json
import os
import re
import shlex
import signal
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local import ports
from deploy.simulator import Config, Simulator
from tests.integration.cli.called import Command
from tests.integration.cli.test_every_command import commands
from tests.stack import SECRET, VERIFY_TOKEN, Stack, running

# These have tests of their own way to end.
ENDLESS = {("run",), ("tail",)}


@pytest.fixture
async def facebook() -> AsyncIterator[Simulator]:
    """Two Pages, small enough that a sync has all of them at once."""
    port = ports.any_free("127.0.0.1")
    given = Config(
        pages=2, conversations=2, messages=2, app_secret=SECRET, verify_token=VERIFY_TOKEN,
        webhook_url=f"http://127.0.0.1:{port}/api/webhook",
    )  # fmt: skip
    async with Simulator(given) as facebook:
        yield facebook


@pytest.fixture
async def stack(
    facebook: Simulator,
    database: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Stack]:
    """The deployment; its settings and the files of the examples are where commands look."""
    port = facebook.config.webhook_url.split("/")[2].partition(":")[2]
    stack = Stack(
        database, redis_url, tmp_path, facebook.url, INGRESS_PORT=port,
        FACEBOOK_APP_ID=facebook.config.app_id,
        # The tests' Redis writes nothing to disk; with a copy in Postgres that is well.
        INGRESS_LOG="both",
    )  # fmt: skip
    stack.url = f"http://127.0.0.1:{port}"
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "token.txt").write_text(next(iter(facebook.tokens.of_page.values())))
    (tmp_path / "user-token.txt").write_text(facebook.tokens.user)
    async with running(stack):
        yield stack


async def test_every_example_does_what_its_help_says(
    stack: Stack, facebook: Simulator, run: Command
) -> None:
    for example in await _examples(run):
        ended = await run(*shlex.split(await _in_this_world(example, stack, facebook)))
        assert ended.status == 0, f"pagewire {example}\n{ended.out}{ended.err}"
        assert ended.out or ended.err, f"pagewire {example} says nothing"
        assert "error:" not in ended.err, example


async def _examples(run: Command) -> list[str]:
    found = []
    for command in commands():
        if command not in ENDLESS:
            text = (await run(*command, "--help")).out
            found += re.findall(r"^ +pagewire (.*)$", text, re.MULTILINE)
    return found


async def _in_this_world(example: str, stack: Stack, facebook: Simulator) -> str:
    """Return an example with the ids that things have here in place of those it shows."""
    first, second = facebook.truth.pages
    if "dead show" in example:
        assert await stack.post(b"not JSON") == 200
        await stack.until(lambda: _letters(stack))
        [(letter,)] = await stack.rows("select id from dead_letters where reason = 'unreadable'")
        return example.replace(" 12 ", f" {letter} ")
    if "key revoke" in example:
        [(key,)] = await stack.rows("select id from api_keys")
        return example.replace("3f9a1c07", key.hex[:8])
    if example == "doctor":  # which wonders why a Page has said nothing for weeks
        assert await stack.post(_webhook(second, 1)) == 200
        await stack.until(stack.drained)
    if example.startswith("erase"):
        example += " --yes"  # nobody sits at a test's terminal
    return example.replace("1023456789", first).replace("102938475610293", second)


def _webhook(page: str, number: int) -> bytes:
    item = {
        "sender": {"id": "7001"},
        "recipient": {"id": page},
        "timestamp": time.time_ns() // 1_000_000,
        "message": {"mid": f"m_{number}", "text": "hello"},
    }
    entry = {"id": page, "time": item["timestamp"], "messaging": [item]}
    return json.dumps({"object": "page", "entry": [entry]}).encode()


async def _letters(stack: Stack) -> bool:
    return bool(await stack.rows("select 1 from dead_letters where reason = 'unreadable'"))


async def test_tail_shows_what_comes_in(stack: Stack, facebook: Simulator, run: Command) -> None:
    assert (await run("page", "import", "--user-token-file", "user-token.txt")).status == 0
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ingress.cli", "tail"), env=os.environ, stdout=PIPE, stderr=PIPE
    )
    page, number = next(iter(facebook.truth.pages)), 0
    line = asyncio.create_task(process.stdout.readline())
    while not line.done():
        number += 1
        assert await stack.post(_webhook(page, number)) == 200
        await asyncio.wait([line], timeout=0.2)
    process.send_signal(signal.SIGINT)
    _, said = await process.communicate()
    assert (process.returncode, said) == (130, b"")
    assert b"7001" in line.result()
    assert b"hello" not in line.result()


async def test_run_starts_what_make_run_starts(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _, command: started.append(command))
    assert (await run("run")).status == 0
    assert started == [[sys.executable, "-m", "deploy.local"]]
