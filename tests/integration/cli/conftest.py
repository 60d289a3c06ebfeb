"""The command as a person calls it: in this process where quick, as a process where it matters."""

import asyncio
import io
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.simulator import Config, Simulator
from ingress.cli import main
from shared.config import SETTINGS
from shared.store.database import Database
from tests.integration.cli.called import KEY, ROOT, Command, Ended


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands run in an empty folder, with none of this machine's settings."""
    for name in (*(setting.name for setting in SETTINGS), "PAGE_ACCESS_TOKEN", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name + "_FILE", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, database: str, redis_url: str) -> None:
    """The settings of a fresh database, an empty Redis and a key for tokens."""
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("TOKEN_ENCRYPTION_KEYS", KEY)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command within this process."""

    async def run(*arguments: str, stdin: str = "") -> Ended:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        # The command runs an event loop of its own, as it does when it is called.
        status = await asyncio.to_thread(main, arguments)
        return Ended(status, *capsys.readouterr())

    return run


@pytest.fixture
def spawn() -> Command:
    """Run a command as a process of its own."""

    async def spawn(*arguments: str, stdin: str = "", **settings: str) -> Ended:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ingress.cli", *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | settings,
        )
        out, err = await process.communicate(stdin.encode())
        return Ended(process.returncode or 0, out.decode(), err.decode())

    return spawn


@pytest.fixture
async def store(database: str) -> AsyncIterator[Database]:
    """The database a configured command works on."""
    opened = Database(database, high=2)
    yield opened
    await opened.close()


@pytest.fixture
async def facebook(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    """A simulated Facebook of 30 Pages: more than one slice of /me/accounts by default."""
    async with Simulator(Config(pages=30, conversations=1, instagram=1, messages=1)) as sim:
        monkeypatch.setenv("GRAPH_API_URL", sim.url)
        monkeypatch.setenv("FACEBOOK_APP_ID", sim.config.app_id)
        monkeypatch.setenv("FACEBOOK_APP_SECRET", sim.config.app_secret)
        yield sim
