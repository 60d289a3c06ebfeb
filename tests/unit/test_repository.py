"""What must hold of the repository as a whole."""

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FOLDERS = {"worker", "ingress", "shared", "tests", "deploy"}
FILES = {
    *("pyproject.toml", "Makefile", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
    "LICENSE",
}
REGISTRIES = re.compile(
    r"(pypi|pythonhosted|npmjs|deb\.debian|crates|proxy\.golang)\.(org|com|io)", re.IGNORECASE
)


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Every file git knows."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("this is no git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return [Path(name) for name in listed.stdout.split("\0") if name]


def test_no_package_registry_is_named(tracked: list[Path]):
    """Where packages come from is the business of the machine that installs them."""
    naming = [
        str(path)
        for path in tracked
        if (REPOSITORY / path).is_file()
        and REGISTRIES.search((REPOSITORY / path).read_text(errors="replace"))
    ]
    assert naming == []


def test_the_top_level_holds_what_it_should(tracked: list[Path]):
    top = {path.parts[0] for path in tracked}
    usual = {name for name in top if name.startswith((".", "requirements"))}
    assert top - usual - FOLDERS - FILES == set()
