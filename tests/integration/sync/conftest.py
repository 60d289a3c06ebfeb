"""Opens the desks that the tests of the sync engine work at."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest

from tests.integration.sync.desk import Desk, opened


@pytest.fixture
def desk(database: str, redis_url: str) -> Callable[..., AbstractAsyncContextManager[Desk]]:
    """Open a desk: `async with desk(Config(...), sync_slice="10") as it:`."""
    return partial(opened, database, redis_url)
