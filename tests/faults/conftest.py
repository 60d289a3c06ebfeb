"""One report and one seed a run; `FAULTS_MINUTES` makes it long, `FAULTS_SEED` repeats it."""

import os
import random
from collections.abc import Iterator

import pytest

from tests.faults.report import Report

_REPORT = pytest.StashKey[Report]()


def pytest_configure(config: pytest.Config) -> None:
    seed = os.environ.get("FAULTS_SEED")
    config.stash[_REPORT] = Report(int(seed) if seed else random.SystemRandom().randrange(10**9))


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> Iterator[Report]:
    return request.config.stash[_REPORT]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    report = config.stash.get(_REPORT, None)
    if report is not None and report.acked:
        report.write()
        terminalreporter.write_line(report.line())
