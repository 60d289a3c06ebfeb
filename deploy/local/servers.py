"""Private PostgreSQL and Valkey (or Redis) servers, from wheels or from the machine's packages.

Nothing here listens on TCP: both speak on unix sockets in folders only their user may enter, so
that no port can be taken and no password is needed.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.local import binaries, folders
from deploy.local.account import Account
from deploy.local.errors import CannotStart
from deploy.local.process import Process, Program, Start, end_orphan

POSTGRES_SOCKET = ".s.PGSQL.5432"
REDIS_SOCKET = "redis.sock"
REDIS_MEMORY = "512mb"
"""Enough for a million waiting webhooks; past it Redis refuses, and the ingress spills."""

POSTGRES_STOP = (signal.SIGINT, signal.SIGQUIT)
"""SIGINT is its fast shutdown; SIGTERM would wait for every client to leave. SIGQUIT gives up at
once and still frees the shared memory that SIGKILL would leak."""

POSTGRES_SAYS_LITTLE = {
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
"""What a refused row or a slow statement holds is somebody's words: they stay out of its log."""

_KEPT_VARIABLES = ("PATH", "TMPDIR", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Server:
    """A server made ready to start on its data, and where clients will find it."""

    program: Program
    url: str
    data: Path


@contextlib.contextmanager
def postgres(home: Path, *, durable: bool = True) -> Iterator[str]:
    """Run PostgreSQL on its data in `home`; yield its DSN; stop it at the end.

    `durable=False` is for data nobody will miss: it does not wait for the disk.
    """
    with postgres_server(home, durable=durable) as server, _running(server.program):
        yield server.url


@contextlib.contextmanager
def redis(home: Path, *, durable: bool = True) -> Iterator[str]:
    """Run Valkey or Redis on its data in `home`; yield its URL; stop it at the end.

    `durable=False` is for data nobody will miss: it keeps nothing on disk.
    """
    with redis_server(home, durable=durable) as server, _running(server.program):
        yield server.url


@contextlib.contextmanager
def postgres_server(home: Path, *, durable: bool = True) -> Iterator[Server]:
    """Hold the PostgreSQL of `home`, its cluster made; yield it ready to start."""
    home = home.resolve()
    with folders.claimed(home, "postgres"):
        binary = binaries.postgres()
        account = Account.for_database(home / binary.kept_as)
        place = folders.reachable(home, account)
        binary = binaries.within_reach(binary, account, place)
        data = place / binary.kept_as
        sockets = folders.for_socket(place / "postgres-socket", POSTGRES_SOCKET, account)
        if not data.exists():
            _make_cluster(binary.path.with_name("initdb"), data, account, durable=durable)
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(sockets),
            "shared_buffers": "64MB",
            "max_connections": "200",
            **POSTGRES_SAYS_LITTLE,
            **({} if durable else {"fsync": "off", "full_page_writes": "off"}),
        }
        program = Program(
            name="postgres",
            command=[
                binary.path,
                "-D",
                data,
                *(f"--{name}={value}" for name, value in options.items()),
            ],
            environment=_environment(),
            log=home / "postgres.log",
            account=account,
            stop_signals=POSTGRES_STOP,
            grace=1.5,
            clear=lambda: _clear_postgres(data, sockets),
            answers=lambda process: _postgres_answers(data, process),
            # The backends of a killed server take a moment to notice.
            wait_out="shared memory block",
        )
        yield Server(program, f"postgresql://pagewire@/postgres?host={sockets}", data)


@contextlib.contextmanager
def redis_server(home: Path, *, durable: bool = True) -> Iterator[Server]:
    """Hold the Valkey or Redis of `home`; yield it ready to start."""
    home = home.resolve()
    with folders.claimed(home, "redis"):
        binary = binaries.redis()
        data = folders.private(home / binary.kept_as, None)
        where = folders.for_socket(home / "redis-socket", REDIS_SOCKET, None) / REDIS_SOCKET
        options = {
            "port": "0",
            "unixsocket": str(where),
            "unixsocketperm": "700",
            "dir": str(data),
            "pidfile": str(data / "redis.pid"),
            "appendonly": "yes" if durable else "no",
            "appendfsync": "always",
            "save": "",
            "maxmemory": REDIS_MEMORY,
            "maxmemory-policy": "noeviction",
        }
        program = Program(
            name="redis",
            command=[
                binary.path,
                *(word for name in options for word in (f"--{name}", options[name])),
            ],
            environment=_environment(),
            log=home / "redis.log",
            grace=1.0,
            clear=lambda: end_orphan(data / "redis.pid", str(where), [signal.SIGTERM]),
            answers=lambda _: _redis_answers(where),
        )
        yield Server(program, f"unix://{where}?db=0", data)


@contextlib.contextmanager
def _running(program: Program) -> Iterator[None]:
    start = Start(program)
    try:
        while not start.answered():
            time.sleep(0.01)
        yield
    finally:
        program.stop(start.process)


def _environment() -> dict[str, str]:
    """Return the little the servers need: no PG* or LC_* that would change what they do."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return kept | {"LC_ALL": "C"}


def _make_cluster(initdb: Path, data: Path, account: Account | None, *, durable: bool) -> None:
    """Make a cluster beside `data` and rename it: a kill leaves a whole one or none."""
    half_done = data.with_name(data.name + ".new")
    shutil.rmtree(half_done, ignore_errors=True)
    folders.private(half_done, account)
    command: list[str | Path] = [initdb, "-D", half_done, "-U", "pagewire"]
    command += ["--auth=trust", "--encoding=UTF8", "--locale=C"]
    command += [] if durable else ["--no-sync"]
    done = subprocess.run(
        command,
        cwd="/",
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    if done.returncode:
        raise CannotStart(
            f"PostgreSQL could not make its data folder {data}:\n{done.stderr.strip()}"
        )
    half_done.rename(data)


def _clear_postgres(data: Path, sockets: Path) -> None:
    end_orphan(data / "postmaster.pid", str(data), POSTGRES_STOP)
    # The pid in a lock may be a zombie or somebody else by now, and PostgreSQL would refuse to
    # start. Removing them is safe: it still knows old backends by their shared memory.
    (data / "postmaster.pid").unlink(missing_ok=True)
    (sockets / f"{POSTGRES_SOCKET}.lock").unlink(missing_ok=True)


def _postgres_answers(data: Path, process: Process) -> bool:
    """Tell whether `postmaster.pid` says ready, and says it of this process, not of an old one."""
    with contextlib.suppress(OSError, IndexError):
        lines = (data / "postmaster.pid").read_text().splitlines()
        return lines[0].strip() == str(process.pid) and lines[7].strip() == "ready"
    return False


def _redis_answers(where: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        connection.connect(str(where))
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith(b"+PONG")
    return False
