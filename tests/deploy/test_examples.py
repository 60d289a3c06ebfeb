"""The examples of the guide to jobs from other services work, with no more rights than it gives."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.deploy.conftest import DEPLOY, Roles
from tests.stack import ROOT, Stack

EXAMPLES = DEPLOY / "guides/examples"
NODE_PACKAGES = ("ioredis@6.0.0", "@msgpack/msgpack@3.1.3")
PAGE = "1001"


@pytest.fixture
async def stack(roles: Roles, tmp_path: Path) -> AsyncIterator[Stack]:
    """A Page, and a worker that does jobs."""
    stack = Stack(roles.database("operator"), roles.redis("operator"), tmp_path)
    jobs = stack.process("jobs", "worker", "--only", "jobs", **roles.urls("worker"))
    await stack.command("page", "add", PAGE, "--name", "Corner shop")
    jobs.start()
    try:
        yield stack
    finally:
        jobs.stop()


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages the Node example names."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("there is no Node here")
    folder = tmp_path_factory.mktemp("node")
    quietly = (
        "--silent",
        "--fetch-retries=0",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--prefix",
        folder,
    )
    command = ("npm", "install", *quietly, *NODE_PACKAGES)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("cannot install the packages: no answer within a minute")
    if done.returncode:
        pytest.skip(f"cannot install the packages: {done.stderr.strip()[-300:]}")
    return folder


async def test_a_python_service_asks_for_a_sync(stack: Stack, roles: Roles):
    await _run(roles, sys.executable, EXAMPLES / "queue_sync.py", PAGE)
    await stack.until(lambda: _asked(stack, PAGE))


async def test_a_node_service_asks_for_a_sync(stack: Stack, roles: Roles, node: Path):
    shutil.copy(EXAMPLES / "queue-sync.mjs", node)
    await _run(roles, "node", node / "queue-sync.mjs", PAGE)
    await stack.until(lambda: _asked(stack, PAGE))


async def test_a_wrong_job_is_kept_under_its_id(stack: Stack, roles: Roles):
    job_id = await _run(roles, sys.executable, EXAMPLES / "queue_sync.py", "no-such-page")

    async def kept() -> bool:
        letters = await stack.rows("select error from dead_letters where reason = 'bad_job'")
        return any(job_id in error for (error,) in letters)

    await stack.until(kept)


async def _run(roles: Roles, *command: object) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "REDIS_URL": roles.redis_over_tcp("producer"),
    }
    process = await asyncio.create_subprocess_exec(
        *map(str, command), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode().strip()


async def _asked(stack: Stack, page: str) -> bool:
    return bool(await stack.rows("select 1 from sync_runs where page_id = $1", page))
