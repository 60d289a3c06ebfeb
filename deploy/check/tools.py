"""The programs the checks use: where they are, and how they are run."""

import os
import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
OWN = REPOSITORY / ".venv-deploy/bin"
"""Where requirements-deploy.txt is installed (`make deploy-check`)."""


class Finding(Exception):
    """Something under deploy/ is wrong; the text is the tool's."""


def find(name: str) -> str | None:
    """Return the path of a program: one that was installed for the checks, or the machine's."""
    places = (str(OWN), os.environ.get("PATH", ""), "/usr/sbin")
    return shutil.which(name, path=os.pathsep.join(places))


def run(name: str, *arguments: str | Path, cwd: Path, quiet: bool = False) -> str:
    """Run a program and return its output; raises Finding when it does not end well.

    `quiet` is for one that complains and ends well all the same: any word of it is a Finding.
    """
    program = find(name) or name
    done = subprocess.run(
        [program, *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode or (quiet and done.stdout.strip()):
        raise Finding(done.stdout.strip() or f"{name} ended with {done.returncode}")
    return done.stdout
