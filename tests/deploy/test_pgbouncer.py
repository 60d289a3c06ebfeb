"""The API behind a real PgBouncer that gives every transaction another server connection."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local import ports
from tests.stack import Stack, running

pytestmark = pytest.mark.skipif(
    shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin") is None,
    reason="this machine has no pgbouncer",
)

SERVERS = 2
"""So few that clients must share them."""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that PgBouncer's account may enter, too."""
    with tempfile.TemporaryDirectory(prefix="pagewire-pgbouncer-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
async def pooled(database: str, open_folder: Path) -> AsyncIterator[str]:
    """The URL of a database through PgBouncer in transaction mode."""
    sockets = Path(database.partition("host=")[2])
    port = ports.any_free("127.0.0.1")
    (open_folder / "users").write_text('"pagewire" ""\n')
    (open_folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={sockets}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {open_folder}/users\n"
        f"pool_mode = transaction\ndefault_pool_size = {SERVERS}\n"
        # As deploy/guides/scaling.md says.
        "ignore_startup_parameters = jit\n"
    )
    account = sockets.owner()  # who may enter the folder of PostgreSQL's socket
    process = subprocess.Popen(
        ["pgbouncer", "--quiet", open_folder / "pgbouncer.ini"],
        env={"PATH": "/usr/sbin:/usr/bin"},
        cwd="/",
        user=account if os.geteuid() == 0 else None,
    )
    try:
        async with asyncio.timeout(10):
            while not ports.accepts("127.0.0.1", port):
                assert process.poll() is None, "pgbouncer ended at once"
                await asyncio.sleep(0.02)
        name = database.partition("@/")[2].partition("?")[0]
        yield f"postgresql://pagewire@127.0.0.1:{port}/{name}?pgbouncer=true"
    finally:
        process.terminate()
        process.wait()


async def test_readers_share_a_few_connections_through_pgbouncer(
    pooled: str, database: str, redis_url: str, tmp_path: Path
):
    stack = Stack(database, redis_url, tmp_path)
    stack.ingress = stack.process("api", "ingress", "--only", "api", DATABASE_URL=pooled)
    async with running(stack):
        key = (await stack.command("key", "create", "--scope", "admin"))["key"]
        stack.session.headers["Authorization"] = f"Bearer {key}"
        for number in range(4):
            page = {"facebookPageId": str(1000 + number), "name": f"Shop {number}"}
            async with stack.session.post(f"{stack.url}/api/pages", json=page) as answer:
                assert answer.status == 201, await answer.text()
        answers = await asyncio.gather(*(_read(stack, n) for n in range(100)))
        assert set(answers) == {200}


async def _read(stack: Stack, number: int) -> int:
    """Ask for one of several things; return how it was answered."""
    paths = ("/api/pages/1000", "/api/pages", "/api/conversations", "/api/session")
    async with stack.session.get(stack.url + paths[number % len(paths)]) as answer:
        await answer.read()
        return answer.status
