from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local import servers
from ingress.webhook import door, intake, watch
from tests.integration.intake.intake_world import Gated, Killable, World


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the ingress look at its stores twenty times as often."""
    monkeypatch.setattr(door, "PROBE_EVERY", 0.05)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the ingress wait for a store as long as a test holds it up, however slow the machine."""
    for module, name in ((door, "REDIS_SECONDS"), (intake, "BUDGET"), (watch, "LOOK_SECONDS")):
        monkeypatch.setattr(module, name, 60.0)


@pytest.fixture
def killable_redis(tmp_path: Path) -> Iterator[Killable]:
    with servers.redis_server(tmp_path) as server:
        found = Killable(server)
        found.start()
        yield found
        found.stop()


@pytest.fixture
async def world(redis_url: str, database: str) -> AsyncIterator[World]:
    """An ingress that runs, before stores that answer."""
    found = World(redis_url, database)
    await found.start()
    yield found
    await found.stop()
    await found.redis.aclose()


@pytest.fixture
async def gated(redis_url: str, database: str, tmp_path: Path) -> AsyncIterator[Gated]:
    """An ingress not started yet, before stores that can be shut and stalled."""
    found = Gated(redis_url, database, tmp_path)
    await found.redis_gate.open()
    await found.postgres_gate.open()
    yield found
    if hasattr(found, "session"):
        await found.stop()
    await found.redis.aclose()
    for gate in (found.redis_gate, found.postgres_gate):
        await gate.shut()
