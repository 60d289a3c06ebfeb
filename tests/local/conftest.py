"""What the launcher's tests share: short folders, waiting for conditions, fakes of programs."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that any account can reach, with a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="pagewire-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """Wait until a condition holds; fail when it does not within some seconds."""

    def wait(condition: Callable[[], object], within: float = 10.0) -> None:
        deadline = time.monotonic() + within
        while not condition():
            assert time.monotonic() < deadline, f"{condition} did not come true"
            time.sleep(0.02)

    return wait
