"""The API as its own tests have it."""

from tests.integration.api.conftest import environ, rhythm, world

__all__ = ["environ", "rhythm", "world"]
