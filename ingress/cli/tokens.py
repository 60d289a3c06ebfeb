"""Tokens as given: in a file, on standard input or in the environment, never as an argument."""

import os
import re
import sys
from pathlib import Path

from ingress.cli.problem import USAGE, Problem
from shared.config import Secret

MAX_TOKEN = 4096
"""Bytes; Facebook's longest seen is about 250. More is some other file."""


def given(file: Path | None) -> Secret | None:
    """Return the token in `file` (- is standard input), or in PAGE_ACCESS_TOKEN, if any."""
    if file is not None:
        return in_file(file)
    told = os.environ.get("PAGE_ACCESS_TOKEN", "")
    return _only_token(told, "PAGE_ACCESS_TOKEN") if told.strip() else None


def in_file(file: Path) -> Secret:
    """Return the token in `file`; raises Problem where it holds none, or something else."""
    try:
        with sys.stdin.buffer if file == Path("-") else file.open("rb") as opened:
            told = opened.read(MAX_TOKEN + 2).decode("ascii", "replace")
    except OSError as error:
        raise Problem(
            f"The token file {file} cannot be read.",
            error.strerror or "",
            "Name a file that holds the token alone, or - for standard input.",
            status=USAGE,
        ) from error
    return _only_token(told, "standard input" if file == Path("-") else str(file))


def _only_token(told: str, where: str) -> Secret:
    token = told.strip()
    if len(token) > MAX_TOKEN or not re.fullmatch(r"[!-~]+", token):
        raise Problem(f"There is no token in {where}.", "It must hold one, and nothing else.")
    return Secret(token)
