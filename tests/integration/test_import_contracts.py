"""Each import contract of the house holds, and would be seen to break."""

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("ingress", "worker", "shared", "deploy")

VIOLATIONS = [
    ("layers", "ingress/planted.py", "import worker.merge"),
    ("layers", "worker/planted.py", "import ingress.cli"),
    ("layers", "shared/errors.py", "import worker.merge"),
    ("layers", "shared/errors.py", "import ingress.cli"),
    ("layers", "worker/planted.py", "import deploy.local.servers"),
    ("shared", "shared/facebook/planted.py", "import shared.store"),
    ("shared", "shared/crypto.py", "import shared.queue"),
    ("shared", "shared/log.py", "import shared.cache"),
    ("shared", "shared/config.py", "import shared.log"),
    ("shared", "shared/errors.py", "import shared.events"),
    ("shared", "shared/planted.py", "'a module that has no place yet'"),
    ("webhook", "ingress/webhook/planted.py", "import shared.store.pages"),
    ("webhook", "ingress/webhook/planted.py", "import shared.queue"),
    ("webhook", "ingress/webhook/planted.py", "import shared.facebook.webhook.body"),
    ("webhook", "shared/facebook/signature.py", "import shared.facebook.webhook.body"),
    ("command-line", "ingress/cli/planted.py", "import ingress.webhook"),
    ("asyncpg", "worker/planted.py", "import asyncpg"),
    ("asyncpg", "shared/cache.py", "from asyncpg import Connection"),
    ("arq", "worker/ingest.py", "import arq"),
    ("arq", "ingress/api/planted.py", "from arq.connections import ArqRedis"),
    *(
        ("pure", file, f"import {module}")
        for file, module in (
            ("shared/events.py", "asyncio"),
            ("shared/ids.py", "aiohttp"),
            ("shared/errors.py", "redis"),
            ("shared/facebook/webhook/body.py", "asyncpg"),
            ("shared/facebook/signature.py", "arq"),
            ("shared/facebook/graph/requests.py", "asyncio"),
            ("shared/facebook/graph/replies.py", "shared.facebook.graph.client"),
            ("worker/merge.py", "shared.store.database"),
            ("worker/outcome.py", "shared.redis"),
        )
    ),
    ("simulator", "deploy/simulator/planted.py", "import shared.errors"),
    ("simulator", "deploy/simulator/planted.py", "import deploy.local.ports"),
    ("cycles", "shared/errors.py", "import shared.store"),
]


def _lint(place: Path, *arguments: str) -> str:
    """Return "" if the import contracts hold in `place`, else what import-linter says."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"]
    done = subprocess.run(
        [*command, *arguments], cwd=place, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr if done.returncode else ""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source, to plant violations in."""
    place = tmp_path_factory.mktemp("architecture")
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, place / package)
    shutil.copy(REPOSITORY / ".importlinter", place)
    return place


def test_all_import_contracts_hold():
    assert _lint(REPOSITORY) == ""


@pytest.mark.parametrize(("contract", "file", "line"), VIOLATIONS)
def test_a_violation_of_an_import_contract_is_caught(
    copied: Path, contract: str, file: str, line: str
):
    path = copied / file
    before = path.read_text() if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n")
    try:
        assert "BROKEN" in _lint(copied, "--contract", contract)
    finally:
        path.unlink() if before is None else path.write_text(before)


def test_every_import_contract_has_a_violation_that_is_caught():
    rules = configparser.ConfigParser()
    rules.read(REPOSITORY / ".importlinter")
    contracts = {name.rpartition(":")[2] for name in rules.sections() if ":contract:" in name}
    assert {contract for contract, _, _ in VIOLATIONS} == contracts
