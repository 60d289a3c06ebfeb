"""The release before runs beside this one, on this one's tables, and neither notices the other."""

import contextlib
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from deploy.local import ports
from shared.store.migrate import files
from tests.stack import ROOT, Process, Stack, running, sign

PAGE = "1001"


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The tree as it was before the newest migration came in."""
    newest = f"shared/store/migrations/{max(files())}.sql"
    added = _git("log", "--diff-filter=A", "--format=%H", "-1", "--", newest).decode().strip()
    tree = _git("archive", f"{added}^", "shared", "ingress", "worker") if added else b""
    if not tree:
        pytest.skip(f"git does not know here how things were before {newest}")
    folder = tmp_path / "before"
    folder.mkdir()
    # Not tarfile: its safe way of extracting came with Python 3.11.4.
    subprocess.run(["tar", "-x", "-C", folder], input=tree, check=True)
    assert not (folder / newest).exists()
    return folder


def _git(*words: str) -> bytes:
    """Return what git says, nothing where it cannot: in a shallow clone, or in none at all."""
    with contextlib.suppress(OSError):
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False).stdout
    return b""


@pytest.fixture
async def stack(database: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    """This release, its migrations applied."""
    async with running(Stack(database, redis_url, tmp_path)) as stack:
        await stack.command("page", "add", PAGE, "--name", "Corner shop")
        yield stack


async def test_two_releases_share_the_work_and_either_does_all_of_it(before: Path, stack: Stack):
    port = ports.any_free("127.0.0.1")
    old = {"PYTHONPATH": str(before), "INGRESS_PORT": str(port)}
    old_ingress = stack.process("old-ingress", "ingress", **old)
    old_worker = stack.process("old-worker", "worker", **old)
    doors, posted = (f"http://127.0.0.1:{port}", stack.url), 0

    async def all_are_stored_and_shown() -> None:
        """Post at both doors; see every message in the tables, and at both APIs."""
        nonlocal posted
        for door in doors * 5:
            assert await _post(stack, door, posted) == 200
            posted += 1
        await stack.until(lambda: _stored(stack, posted))
        for door in doors:
            await stack.until(lambda door=door: _shows(stack, door, f"text {posted - 1}"))

    key = (await stack.command("key", "create", "--scope", "read"))["key"]
    stack.session.headers["Authorization"] = f"Bearer {key}"
    old_ingress.start()
    old_worker.start()
    try:
        await stack.until(lambda: _ready(stack, doors[0]))
        await all_are_stored_and_shown()
        _end(old_worker)  # the upgrade goes on
        await all_are_stored_and_shown()
        _end(stack.worker)  # and is taken back
        old_worker.start()
        await all_are_stored_and_shown()
        for process in (old_ingress, old_worker, stack.ingress, stack.worker):
            assert "task_failed" not in process.log.read_text(), process.name
    finally:
        _end(old_ingress)
        _end(old_worker)


def _end(process: Process) -> None:
    if process.running:
        process.stop()


async def _post(stack: Stack, door: str, number: int) -> int:
    item = {
        "sender": {"id": "7001"},
        "recipient": {"id": PAGE},
        "timestamp": 1_764_000_000_000 + number,
        "message": {"mid": f"m_{number}", "text": f"text {number}"},
    }
    entry = {"id": PAGE, "time": 1_764_000_000_000, "messaging": [item]}
    body = json.dumps({"object": "page", "entry": [entry]}).encode()
    headers = {"X-Hub-Signature-256": sign(body)}
    async with stack.session.post(f"{door}/api/webhook", data=body, headers=headers) as answer:
        return answer.status


async def _stored(stack: Stack, count: int) -> bool:
    return await stack.rows("select count(*) from messages") == [(count,)]


async def _shows(stack: Stack, door: str, text: str) -> bool:
    async with stack.session.get(f"{door}/api/conversations") as answer:
        assert answer.status == 200, await answer.text()
        [conversation] = (await answer.json())["data"]
    return conversation["lastMessage"]["text"] == text


async def _ready(stack: Stack, door: str) -> bool:
    with contextlib.suppress(aiohttp.ClientError):
        async with stack.session.get(f"{door}/readyz") as answer:
            return answer.status == 200
    return False
