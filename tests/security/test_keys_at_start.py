"""A worker without a key that stored tokens want does not start: it would park every Page."""

import asyncio
import base64
import os
import sys
from pathlib import Path

import pytest

from shared import config
from shared.config import Secret
from shared.crypto import KeyRing
from shared.errors import SettingsError
from shared.store import pages
from shared.store.database import Database
from tests.stack import ROOT, Stack
from worker.main import require_keys


def key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


@pytest.fixture
def stack(database: str, redis_url: str, tmp_path: Path) -> Stack:
    return Stack(database, redis_url, tmp_path)


async def store_token(stack: Stack, under: str) -> bytes:
    store = Database(stack.postgres)
    sealed = KeyRing([Secret(under)]).encrypt(Secret("EAAtoken"), "1")
    await pages.add(store, facebook_page_id="1", name="A", instagram_id=None, token=sealed)
    await store.close()
    return sealed


async def look(stack: Stack, **environ: str) -> None:
    await require_keys(config.load(stack.environment | environ, wants=()))


async def test_a_missing_key_is_named_and_nothing_starts(stack: Stack) -> None:
    old, new = key(), key()
    sealed = await store_token(stack, old)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker"),
        cwd=ROOT,
        env=stack.environment | {"TOKEN_ENCRYPTION_KEYS": new},
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        _, said = await process.communicate()
    assert process.returncode == 2
    assert sealed[1:9].hex() in said.decode()
    assert not any(word in said.decode() for word in ("Traceback", old, new))
    assert await stack.rows("select status from facebook_pages") == [("active",)]


async def test_with_all_keys_it_starts_and_so_it_does_while_nobody_can_tell(stack: Stack) -> None:
    old, new = key(), key()
    await store_token(stack, old)
    await look(stack, TOKEN_ENCRYPTION_KEYS=f"{new},{old}")
    with pytest.raises(SettingsError):
        await look(stack, TOKEN_ENCRYPTION_KEYS=new)
    nowhere = "postgresql://u@127.0.0.1:1/none"
    await look(stack, TOKEN_ENCRYPTION_KEYS=new, DATABASE_URL=nowhere)
