"""Servers as deploy/ sets them up: roles in Postgres, users in Redis."""

import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import binaries
from shared.store.migrate import migrate

DEPLOY = Path(__file__).parents[2] / "deploy"
PASSWORDS = {
    f"{kind}_PASSWORD": secrets.token_hex(8)
    for kind in ("MIGRATOR", "INGRESS", "API", "WORKER", "OPERATOR")
}


def psql(dsn: str, file: Path) -> None:
    program = binaries.postgres().path.with_name("psql")
    options = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={file}")
    done = subprocess.run(
        [program, *options, dsn],
        env=os.environ | PASSWORDS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


class Roles:
    """The addresses of one database and one Redis, a kind of process each."""

    def __init__(self, database: str, redis: Path) -> None:
        self._database, self._redis = database, redis

    def database(self, kind: str) -> str:
        password = PASSWORDS[f"{kind.upper()}_PASSWORD"]
        return self._database.replace("//pagewire@", f"//pagewire_{kind}:{password}@")

    def redis(self, kind: str) -> str:
        password = PASSWORDS[f"{kind.upper()}_PASSWORD"]
        return f"unix://{kind}:{password}@{self._redis}?db=0"

    def urls(self, kind: str) -> dict[str, str]:
        return {"DATABASE_URL": self.database(kind), "REDIS_URL": self.redis(kind)}


@pytest.fixture
async def roles(empty_database: str, guarded_redis: Path) -> Roles:
    """A database with roles, migrated and granted as an operator is told to, and such a Redis."""
    psql(empty_database, DEPLOY / "postgres/roles.sql")
    found = Roles(empty_database, guarded_redis)
    await migrate(found.database("migrator"))
    psql(found.database("migrator"), DEPLOY / "postgres/grants.sql")
    return found


@pytest.fixture
def guarded_redis() -> Iterator[Path]:
    """The socket of a Redis started by deploy/redis/start."""
    with tempfile.TemporaryDirectory(prefix="pagewire-redis-") as name:
        folder, server = Path(name), binaries.redis().path
        (folder / "bin").mkdir()
        # As the image has it: the server's program is found by its name.
        (folder / "bin/valkey-server").symlink_to(server)
        place = ("--port", "0", "--unixsocket", folder / "socket", "--dir", folder)
        process = subprocess.Popen(
            ["sh", DEPLOY / "redis/start", DEPLOY / "redis", *place],
            env=os.environ | PASSWORDS | {
                "PATH": f"{folder}/bin:{os.environ['PATH']}",
                "USERS": str(folder / "users.acl"),
            },
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while not (folder / "socket").exists():
                assert process.poll() is None, "the server ended at once"
                time.sleep(0.01)
            yield folder / "socket"
        finally:
            process.terminate()
            process.wait()
