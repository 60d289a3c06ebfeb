"""The API keeps to its own description, judged by Schemathesis: a client that follows the document.

https://schemathesis.readthedocs.io/
"""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from ingress.api import sync
from tests.integration.api.world import World, message

EXAMPLES = 25
"""Cases an operation, beside those that cover each keyword of its schemas: 1,500 in all."""


async def test_every_operation_answers_as_described_whatever_it_is_sent(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "PATIENCE", timedelta())
    await world.happen(message(1), message(2, direction="out", source="echo"))
    judged = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run"),
        f"{world.url}/api/openapi.json",
        f"--header=Authorization: Bearer {world.keys['admin']}",
        *("--checks=all", "--generation-deterministic"),
        f"--max-examples={EXAMPLES}",
        # They answer for as long as one listens.
        *("--exclude-path-regex=/(live|events)$", "--no-color", "--warnings=off"),
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await judged.communicate()
    finally:
        if judged.returncode is None:
            judged.kill()
    assert judged.returncode == 0, said.decode()
