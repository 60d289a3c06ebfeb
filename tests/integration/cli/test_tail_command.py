"""`pagewire tail`: what changes is on the screen a moment later, one line each."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from shared.ids import conversation_id
from shared.store import pages
from shared.store.database import Database
from tests.integration.cli.called import ROOT

pytestmark = pytest.mark.usefixtures("configured")
Tail = Callable[..., Awaitable[Process]]


@pytest.fixture
async def tail(store: Database) -> AsyncIterator[Tail]:
    """Start `pagewire tail`, and return it once it looks."""
    started: list[Process] = []

    async def tail(*arguments: str) -> Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ingress.cli", "tail", *arguments),
            stdout=PIPE,
            stderr=PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        started.append(process)
        return process

    yield tail
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def change(store: Database, page_id: str, participant_id: str) -> None:
    async with store.connection() as connection:
        await connection.execute(
            "insert into changes (page_id, participant_id, conversation_id, kinds)"
            " values ($1, $2, $3, '{message,read}')",
            page_id,
            participant_id,
            conversation_id(page_id, participant_id),
        )


async def first_line(store: Database, process: Process, *changed: tuple[str, str]) -> bytes:
    """Change conversations until the command, which has just started, tells of one."""
    assert process.stdout is not None
    line = asyncio.create_task(process.stdout.readline())
    async with asyncio.timeout(20):
        while not line.done():
            for page_id, participant_id in changed:
                await change(store, page_id, participant_id)
            await asyncio.wait([line], timeout=0.2)
    return line.result()


async def test_a_change_is_a_line_with_the_pages_name(store: Database, tail: Tail) -> None:
    await pages.add(
        store, facebook_page_id="100", name="Corner shop", instagram_id=None, token=None
    )
    line = await first_line(store, await tail(), ("100", "psid-1"))
    assert b"Corner shop  psid-1  message, read" in line


async def test_only_the_page_that_was_asked_for_is_followed(store: Database, tail: Tail) -> None:
    for page_id, instagram_id in (("100", "178"), ("200", None)):
        await pages.add(
            store, facebook_page_id=page_id, name="x", instagram_id=instagram_id, token=None
        )
    process = await tail("--page", "100", "--json")
    told = json.loads(await first_line(store, process, ("200", "b"), ("178", "a")))
    assert (told["page_id"], told["participant_id"]) == ("178", "a")
    assert told["conversation_id"] == str(conversation_id("178", "a"))


async def test_ctrl_c_ends_it_quietly(store: Database, tail: Tail) -> None:
    process = await tail()
    await first_line(store, process, ("100", "psid-1"))
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")
