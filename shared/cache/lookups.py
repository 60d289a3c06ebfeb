"""Many small reads of one Redis as few large ones."""

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

from redis.asyncio import Redis

Held: TypeAlias = Sequence[bytes | None]
_Asked: TypeAlias = list[tuple[Sequence[str], "asyncio.Future[Held]"]]


class Lookups:
    """Asks for values one command at a time; who comes while it is under way goes with the next.

    A command costs this process ten times what another key in it does.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: _Asked = []
        self._asking: asyncio.Task[None] | None = None

    async def get(self, names: Sequence[str]) -> Held:
        """Return what the keys hold, read after this was called; raises what Redis raises."""
        answer: asyncio.Future[Held] = asyncio.get_running_loop().create_future()
        self._waiting.append((names, answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_all())
        return await answer

    def close(self) -> None:
        """Stop asking: whoever waits is cancelled."""
        if self._asking is not None:
            self._asking.cancel()

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting, []
                await self._ask(asked)
        finally:
            self._asking = None

    async def _ask(self, asked: _Asked) -> None:
        try:
            held = await self._redis.mget([name for names, _ in asked for name in names])
        except Exception as error:
            for _, answer in asked:
                if not answer.done():
                    answer.set_exception(error)
            return
        except asyncio.CancelledError:
            for _, answer in asked + self._waiting:
                answer.cancel()
            raise
        at = 0
        for names, answer in asked:
            if not answer.done():
                answer.set_result(held[at : at + len(names)])
            at += len(names)
