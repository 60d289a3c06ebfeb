"""Tells readers what changed, after the commit that changed it."""

from collections.abc import Iterable
from uuid import UUID

import msgspec
from redis.asyncio import Redis

CHANNEL = "pagewire:changes"


class Cache:
    """Announces changed conversations to every process that listens."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def changed(self, conversations: Iterable[UUID]) -> None:
        await self._redis.publish(CHANNEL, msgspec.msgpack.encode([c.bytes for c in conversations]))

    async def aclose(self) -> None:
        await self._redis.aclose()
