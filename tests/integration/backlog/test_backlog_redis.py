"""Clients from a URL."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from deploy.local import binaries
from shared.redis import connect


async def test_a_client_waits_for_a_free_connection_instead_of_failing(redis_url: str) -> None:
    async with connect(redis_url, size=2) as redis:
        assert await asyncio.gather(*(redis.ping() for _ in range(50))) == [True] * 50
        assert redis.connection_pool.max_connections == 2


async def test_a_silent_server_is_given_up_within_the_timeout(tmp_path: Path) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(say_nothing, tmp_path / "silent")
    async with server, connect(f"unix://{tmp_path}/silent", timeout=0.1) as redis:
        async with asyncio.timeout(2):
            with pytest.raises(RedisError, match="Timeout"):
                await redis.ping()


async def test_a_connection_that_was_hung_up_is_replaced_before_a_command(redis_url: str) -> None:
    async with connect(redis_url, size=1) as redis, connect(redis_url, size=1) as other:
        mine = await redis.client_id()
        await other.client_kill_filter(_id=mine)
        await other.ping()
        await asyncio.sleep(0)  # its end has arrived, and the loop is to look once
        assert await redis.client_id() != mine


async def test_a_reply_that_was_given_up_is_nobody_elses(redis_url: str) -> None:
    async with connect(redis_url, size=1) as redis, connect(redis_url) as other:
        waits = asyncio.create_task(redis.blpop(["list"], timeout=5))
        async with asyncio.timeout(5):
            while not (await other.info("clients"))["blocked_clients"]:
                await asyncio.sleep(0.01)
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
        await other.rpush("list", "late")
        assert await redis.ping() is True
        await other.delete("list")


async def test_a_url_selects_the_database(redis_url: str) -> None:
    async with connect(redis_url.replace("db=0", "db=3")) as third, connect(redis_url) as first:
        await third.set("where", "third")
        assert await first.get("where") is None
        await third.delete("where")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def sentinel(tmp_path: Path) -> Iterator[str]:
    """The address of a sentinel that watches a master named `pagewire`."""
    binary, ports = binaries.redis().path, (_free_port(), _free_port())
    config = tmp_path / "sentinel.conf"
    config.write_text(f"port {ports[1]}\nsentinel monitor pagewire 127.0.0.1 {ports[0]} 1\n")
    commands = [
        [binary, "--port", str(ports[0]), "--save", "", "--dir", str(tmp_path)],
        [binary, str(config), "--sentinel"],
    ]
    with contextlib.ExitStack() as stack:
        for command in commands:
            server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            stack.callback(server.wait)
            stack.callback(server.terminate)
        yield f"127.0.0.1:{ports[1]}"
    shutil.rmtree(tmp_path, ignore_errors=True)


async def test_a_sentinel_url_leads_to_the_master_of_that_name(sentinel: str) -> None:
    async with connect(f"redis+sentinel://{sentinel},127.0.0.1:1/pagewire?db=2") as redis:
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(Exception):
                    assert await redis.set("found", 1)
                    break
                await asyncio.sleep(0.05)
        assert (await redis.info("replication"))["role"] == "master"
        assert "db2" in await redis.info("keyspace")
