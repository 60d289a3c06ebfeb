from collections.abc import AsyncIterator

import pytest

from shared.store.database import Database


@pytest.fixture
async def store(database: str) -> AsyncIterator[Database]:
    """A fresh, migrated database."""
    opened = Database(database, high=4)
    yield opened
    await opened.close()
