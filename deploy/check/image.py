"""Does what deploy/Dockerfile does, in a folder instead of a container, and looks at the result."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from deploy.check.tools import REPOSITORY, Finding, run

DOCKERFILE = REPOSITORY / "deploy/Dockerfile"
PACKAGES = ("ingress", "worker", "shared", "deploy")


def build(root: Path) -> None:
    """Take the steps of the stage that builds; raises Finding when one fails or forgets a file."""
    source = root / "src"
    source.mkdir()
    sent = set((REPOSITORY / ".dockerignore").read_text().split())
    for instruction, arguments in _steps():
        if instruction == "COPY":
            *names, target = arguments.split()
            if missing := [name for name in names if f"!{name}" not in sent]:
                raise Finding(f".dockerignore leaves out what is copied: {', '.join(missing)}")
            for name in names:
                _copy(REPOSITORY / name, source / target)
        elif instruction == "RUN":
            _run(arguments.replace("/opt/pagewire", str(root / "opt/pagewire")), source)
    _look(root / "opt/pagewire", root)


def _steps() -> Iterator[tuple[str, str]]:
    lines = DOCKERFILE.read_text().replace("\\\n", " ").splitlines()
    inside = False
    for line in lines:
        instruction, _, arguments = line.partition(" ")
        if instruction == "FROM":
            inside = arguments.endswith(" AS build")
        elif inside and not line.startswith("#"):
            yield instruction, arguments


def _copy(origin: Path, target: Path) -> None:
    if origin.is_dir():
        shutil.copytree(origin, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(origin, target / origin.name if target.is_dir() else target)


def _run(command: str, source: Path) -> None:
    program, *arguments = shlex.split(command)
    run(sys.executable if program == "python" else program, *arguments, cwd=source)


def _look(made: Path, elsewhere: Path) -> None:
    """Everything git knows of the packages is in the image, and it starts from anywhere."""
    run(str(made / "bin/pagewire"), "--version", cwd=elsewhere)
    for module in ("ingress", "worker"):
        run(str(made / "bin/python"), "-m", module, "--help", cwd=elsewhere)
    [installed] = made.glob("lib/python*/site-packages")
    listed = subprocess.run(
        ["git", "ls-files", "-z", *PACKAGES], cwd=REPOSITORY, capture_output=True, check=True
    )
    files = filter(None, os.fsdecode(listed.stdout).split("\0"))
    # Of deploy/ only the programs are installed; the files an operator copies stay in the checkout.
    needed = [f for f in files if not f.startswith("deploy/") or f.endswith(".py")]
    if missing := [file for file in needed if not (installed / file).is_file()]:
        raise Finding("The image lacks files: " + ", ".join(missing))
