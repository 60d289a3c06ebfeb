import pytest

from shared.store.migrate import migrate


@pytest.fixture
async def database(empty_database):
    await migrate(empty_database)
    return empty_database
