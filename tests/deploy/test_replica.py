"""Search reads from a real streaming replica; everything that must be fresh from the primary."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local import binaries
from tests.stack import Stack, running

pytestmark = pytest.mark.skipif(
    "PAGEWIRE_SCALE_OUT" not in os.environ, reason="long: make scale-out"
)


@contextlib.contextmanager
def replica_of(primary: str, folder: Path) -> Iterator[str]:
    """Copy a PostgreSQL and follow it; yield the replica's DSN."""
    sockets = Path(primary.partition("host=")[2])
    account = sockets.owner() if os.geteuid() == 0 else None
    program = binaries.postgres().path
    programs = Path(_program_in_use(sockets)).parent if account else program.parent
    where = sockets.parent / f"replica-{folder.name}"
    where.mkdir()
    if account:
        subprocess.run(["chown", account, where], check=True)
    data, own = where / "data", where / "socket"
    copy = ("-h", sockets, "-U", "pagewire", "-D", data, "-R", "-X", "stream", "-c", "fast")
    subprocess.run([programs / "pg_basebackup", *copy], cwd="/", user=account, check=True)
    subprocess.run(["mkdir", own], cwd="/", user=account, check=True)
    options = (f"--unix_socket_directories={own}", "--listen_addresses=", "--max_connections=200")
    with (folder / "replica.log").open("wb") as log:
        process = subprocess.Popen(
            [programs / "postgres", "-D", data, *options],
            cwd="/", user=account, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        while not (own / ".s.PGSQL.5432").exists():
            assert process.poll() is None, (folder / "replica.log").read_text()
            time.sleep(0.05)
        yield primary.replace(str(sockets), str(own))
    finally:
        process.terminate()
        process.wait()


def _program_in_use(sockets: Path) -> str:
    """Return the PostgreSQL that runs there: as root, it is a copy its account can reach."""
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes().split(b"\0")
            if any(str(sockets).encode() in word for word in command):
                return command[0].decode()
    raise AssertionError("no PostgreSQL listens there")


async def test_search_asks_the_replica_and_the_inbox_the_primary(
    database: str, redis_url: str, tmp_path: Path
):
    with replica_of(database, tmp_path) as replica:
        stack = Stack(database, redis_url, tmp_path, DATABASE_READ_URL=replica)
        async with running(stack):
            await stack.command("page", "add", "1001", "--name", "Corner shop")
            key = (await stack.command("key", "create", "--scope", "read"))["key"]
            stack.session.headers["Authorization"] = f"Bearer {key}"
            await stack.until(lambda: _connects(replica))
            await _on(replica, "select pg_wal_replay_pause()")
            await stack.until(lambda: _is_paused(replica))

            assert await stack.post(_webhook("unmistakable")) == 200
            await stack.until(lambda: _shows(stack, "", 1))
            assert not await _shows(stack, "q=unmistakable", 1)

            await _on(replica, "select pg_wal_replay_resume()")
            await stack.until(lambda: _shows(stack, "q=unmistakable", 1), 20)


async def _on(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def _is_paused(replica: str) -> bool:
    """Tell whether it has really stopped: it is asked to, and does so in its own time."""
    return await _on(replica, "select pg_get_wal_replay_pause_state()") == "paused"


async def _connects(dsn: str) -> bool:
    with contextlib.suppress(asyncpg.PostgresError, OSError):
        await _on(dsn, "select 1")
        return True
    return False


async def _shows(stack: Stack, query: str, count: int) -> bool:
    async with stack.session.get(f"{stack.url}/api/conversations?{query}") as answer:
        assert answer.status == 200, await answer.text()
        return len((await answer.json())["data"]) == count


def _webhook(text: str) -> bytes:
    item = {
        "sender": {"id": "7001"},
        "recipient": {"id": "1001"},
        "timestamp": 1_764_000_000_000,
        "message": {"mid": "m_1", "text": text},
    }
    entry = {"id": "1001", "time": 1_764_000_000_000, "messaging": [item]}
    return json.dumps({"object": "page", "entry": [entry]}).encode()
