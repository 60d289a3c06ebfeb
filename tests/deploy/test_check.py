"""What `make deploy-check` judges, as far as this machine has the tools for it."""

from pathlib import Path

import pytest

from deploy.check.checks import CHECKS, Check, missing
from deploy.check.tools import Finding, run

# It installs everything a second time, which takes longer than all the others together.
QUICK = [check for check in CHECKS if check.what != "what the Dockerfile builds"]


@pytest.mark.parametrize("check", QUICK, ids=lambda check: check.what)
def test_every_file_is_judged_by_the_tool_that_reads_it(check: Check, tmp_path: Path):
    if lacking := missing(check):
        pytest.skip(f"this machine has no {', '.join(lacking)}")
    check.judge(tmp_path)


def test_a_tool_that_is_not_content_is_heard(tmp_path: Path):
    with pytest.raises(Finding, match="no such place"):
        run("sh", "-c", "echo no such place; exit 1", cwd=tmp_path)
    with pytest.raises(Finding, match="a word"):
        run("sh", "-c", "echo a word", cwd=tmp_path, quiet=True)
