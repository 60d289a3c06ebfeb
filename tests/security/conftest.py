"""The API as its own tests have it, and the database server's own log."""

from pathlib import Path

import pytest

from tests.integration.api.conftest import environ, rhythm, world

__all__ = ["environ", "rhythm", "world"]


@pytest.fixture
def postgres_log(_home: Path) -> Path:
    """The file the test's PostgreSQL writes what it has to say to."""
    return _home / "postgres.log"
