"""Answers kept in Redis as the bytes that are sent, and forgotten exactly when they are stale.

An answer depends on tokens: random, never used twice. A reader takes the tokens before it queries
and stores the answer under them; whoever changed rows deletes the tokens of what changed, after
the commit. So an answer that was read before a commit, and stored after it, carries a token that
is nobody's any more, and is never served. Counters would not do: a Redis that fails over may count
the same number twice.

One token, the generation, is everybody's. It names the Redis process that it is good for: another
process may be a replica that missed the last deletions, and begins with an empty cache. Whoever
could not delete a token changes the generation before it trusts Redis again.

Announcing a change goes with forgetting it, in one round trip and after it.
"""

import asyncio
import random
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, Literal, Protocol, TypeAlias
from uuid import UUID

from msgspec import Struct
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from shared import log, metrics
from shared.cache.lookups import Held, Lookups

_log = log.get(__name__)

Family: TypeAlias = Literal["conversation", "messages", "conversations"]
Load: TypeAlias = Callable[[], Awaitable[bytes]]

CHANNEL = "pagewire:changes"
"""Where changed conversations are announced: their ids, 16 bytes each, one after the other."""

MAX_BYTES = 64 << 10
"""Longer answers are not kept: one busy list must not push a thousand conversations out."""

_GENERATION = "pagewire:cache:generation"
_EVERY_LIST = "pagewire:cache:token:list"
_TOKEN_BYTES = 12
_RETRY_SECONDS = 1.0

MEMORY_SECONDS = 1.0
MEMORY_ANSWERS = 500
"""What this process keeps while Redis is away: 32 MB at the very most."""


class Changed(Protocol):
    """A conversation that changed, and Facebook's id of its Page or Instagram account."""

    @property
    def conversation_id(self) -> UUID: ...
    @property
    def page_id(self) -> str: ...


class Question(Struct, frozen=True):
    """What an answer is about; it becomes a Redis key, and so holds no content.

    `name` tells it from others of its family, `tokens` are what it depends on.
    """

    family: Family
    name: str
    tokens: tuple[str, ...]


def about_conversation(conversation_id: UUID) -> str:
    """Return the token of a conversation and its messages."""
    return f"pagewire:cache:token:conversation:{conversation_id.hex}"


def about_list(page_id: str | None) -> str:
    """Return the token of a Page's list of conversations; None: of all Pages'."""
    return _EVERY_LIST if page_id is None else f"{_EVERY_LIST}:{page_id}"


class Cache:
    """Answers, by the question; `redis` may evict whatever it likes."""

    def __init__(self, redis: Redis, ttl: timedelta = timedelta(minutes=5)) -> None:
        self._redis = redis
        self._lookups = Lookups(redis)
        # Redis takes no lifetime of nothing: a TTL of 0 keeps an answer for ten milliseconds.
        self._ttl_ms = max(10, int(ttl.total_seconds() * 1000))
        self._run_id = b""
        self._failures = 0
        self._mended = 0
        self._retry_at: float | None = None
        self._flights: dict[tuple[str, bytes], asyncio.Task[bytes]] = {}
        self._memory: dict[str, tuple[float, bytes]] = {}
        redis.connection_pool.connection_kwargs["redis_connect_func"] = self._connected

    @property
    def in_memory(self) -> bool:
        """Whether Redis is away, and answers come from this process's own short memory."""
        return self._retry_at is not None

    async def get(self, question: Question, load: Load) -> bytes:
        """Return the answer, loaded by `load` if need be; raises what `load` raises.

        `load` must read from the primary database: a replica may not have the commit yet whose
        announcement made this process ask.
        """
        key = f"pagewire:cache:answer:{question.family}:{question.name}"
        if not self._may_try():
            return await self._from_memory(question.family, key, load)
        try:
            await self._renew_if_outdated()
            stamp, value = await self._look(key, question.tokens)
            self._succeeded()
        except (RedisError, OSError) as error:
            self._failed(error)
            return await self._from_memory(question.family, key, load)
        if value is not None:
            metrics.cache_reads.labels(question.family, "hit").inc()
            return value
        metrics.cache_reads.labels(question.family, "miss").inc()
        return await self._together((key, stamp), lambda: self._fill(key, stamp, load))

    async def changed(self, changed: Iterable[Changed]) -> None:
        """Forget what was read of these conversations, then announce that they changed.

        To be called after the commit. Never raises: what Redis does not learn now it is made to
        forget before anything of it is served again.
        """
        changes = list(changed)
        announced = b"".join(change.conversation_id.bytes for change in changes)
        await self._forget(changes, announced)

    async def forget(self, changed: Iterable[Changed]) -> None:
        """Forget what was read of these conversations, of which others know."""
        await self._forget(list(changed), None)

    async def renew(self) -> None:
        """Forget everything: something changed that many answers show."""
        self._memory.clear()
        self._failures += 1
        if self._may_try():
            try:
                await self._renew_if_outdated()
                self._succeeded()
            except (RedisError, OSError) as error:
                self._failed(error)

    async def announcements(self) -> AsyncIterator[frozenset[UUID]]:
        """Yield what others announce, an empty set now and then; raises what Redis raises."""
        async with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(CHANNEL)
            yield frozenset()
            while True:
                message = await subscription.get_message(timeout=_RETRY_SECONDS)
                ids = b"" if message is None else message["data"]
                whole = range(0, len(ids) - 15, 16)
                yield frozenset(UUID(bytes=bytes(ids[at : at + 16])) for at in whole)

    async def aclose(self) -> None:
        self._lookups.close()
        for flight in self._flights.values():
            flight.cancel()
        await self._redis.aclose()

    # --- what lies in Redis -----------------------------------------------------------------------

    async def _connected(self, connection: AbstractConnection) -> None:
        """Learn which Redis process a new connection leads to."""
        await connection.on_connect()
        await connection.send_command("INFO", "server")
        info: Any = await connection.read_response()
        found = re.search(rb"run_id:(\w+)", info)
        self._run_id = found[1] if found else b"unknown"

    async def _look(self, key: str, tokens: Sequence[str]) -> tuple[bytes, bytes | None]:
        """Return the tokens' stamp, and the answer stored under exactly that one."""
        names = (_GENERATION, *tokens)
        *held, value = await self._lookups.get((*names, key))
        stamp = self._stamp(held)
        if stamp is None:
            return b"".join(await self._take_tokens(names, held)), None
        if value is None or not value.startswith(stamp):
            return stamp, None
        return stamp, value[len(stamp) :]

    def _stamp(self, held: Held) -> bytes | None:
        """Return the stamp of tokens that are all there, of a generation of this Redis process."""
        tokens = [token for token in held if token is not None]
        if len(tokens) < len(held) or not self._is_of_run(tokens[0]):
            return None
        return b"".join(tokens)

    def _is_of_run(self, generation: bytes) -> bool:
        return generation.startswith(self._run_id + b":")

    async def _take_tokens(self, names: Sequence[str], held: Held) -> list[bytes]:
        """Return the tokens, having made those that are missing; another reader may be quicker."""
        generation = held[0]
        async with self._redis.pipeline(transaction=False) as pipe:
            for name, token in zip(names, held, strict=True):
                fresh = secrets.token_bytes(_TOKEN_BYTES)
                if name == _GENERATION:
                    if generation is None or not self._is_of_run(generation):
                        # Another process's generation is replaced, whoever else does so too.
                        pipe.set(name, self._run_id + b":" + fresh, nx=generation is None)
                elif token is None:
                    # It outlives the answers that depend on it, so that none is lost with it.
                    pipe.set(name, fresh, nx=True, px=self._ttl_ms * 2)
            pipe.mget(*names)
            taken = (await pipe.execute())[-1]
        # Gone again already: an answer under this stamp is served to nobody.
        return [token or secrets.token_bytes(_TOKEN_BYTES) for token in taken]

    async def _fill(self, key: str, stamp: bytes, load: Load) -> bytes:
        value = await load()
        if len(value) <= MAX_BYTES:
            # Spread, so that what was filled together does not expire together.
            lives_ms = int(self._ttl_ms * random.uniform(0.8, 1.0))  # noqa: S311
            try:
                await self._redis.set(key, stamp + value, px=lives_ms)
            except (RedisError, OSError) as error:
                self._failed(error)
        return value

    async def _forget(self, changes: Sequence[Changed], announced: bytes | None) -> None:
        if not changes:
            return
        self._memory.clear()
        if not self._may_try():
            self._failures += 1
            return
        failures = self._failures
        conversations = {about_conversation(change.conversation_id) for change in changes}
        lists = {about_list(change.page_id) for change in changes} | {_EVERY_LIST}
        try:
            # One transaction: nothing is announced of which the deletion was refused. A deletion
            # also works where Redis is too full to take a new token.
            async with self._redis.pipeline(transaction=True) as pipe:
                if failures != self._mended:
                    pipe.delete(_GENERATION)
                pipe.delete(*conversations)
                pipe.delete(*lists)
                if announced:
                    pipe.publish(CHANNEL, announced)
                done = await pipe.execute()
        except BaseException as error:
            # Cancelled, too: nobody knows how far it came.
            if not isinstance(error, RedisError | OSError):
                self._failures += 1
                raise
            self._failed(error)
            return
        self._mended = failures
        self._succeeded()
        first = len(done) - (3 if announced else 2)
        metrics.cache_invalidations.labels("conversation").inc(done[first])
        metrics.cache_invalidations.labels("conversations").inc(done[first + 1])

    async def _renew_if_outdated(self) -> None:
        """Change the generation if something could not be forgotten since it last was changed."""
        failures = self._failures
        if failures != self._mended:
            await self._redis.delete(_GENERATION)
            self._mended = failures

    # --- while Redis is away ----------------------------------------------------------------------

    def _may_try(self) -> bool:
        """Tell whether to use Redis; while it is away, one caller a second finds out."""
        now = time.monotonic()
        if self._retry_at is None:
            return True
        if now < self._retry_at:
            return False
        self._retry_at = now + _RETRY_SECONDS
        return True

    def _failed(self, error: Exception) -> None:
        # What was to be forgotten meanwhile, Redis may not have been told.
        self._failures += 1
        if self._retry_at is None:
            _log.warning("cache_in_memory", error=type(error).__name__)
        self._retry_at = time.monotonic() + _RETRY_SECONDS

    def _succeeded(self) -> None:
        if self._retry_at is not None:
            _log.info("cache_in_redis")
            self._retry_at = None
            self._memory.clear()

    async def _from_memory(self, family: Family, key: str, load: Load) -> bytes:
        held = self._memory.get(key)
        if held is not None and held[0] > time.monotonic():
            metrics.cache_reads.labels(family, "memory").inc()
            return held[1]
        metrics.cache_reads.labels(family, "miss").inc()
        return await self._together((key, b""), lambda: self._remember(key, load))

    async def _remember(self, key: str, load: Load) -> bytes:
        began = time.monotonic()
        value = await load()
        if len(value) <= MAX_BYTES:
            if len(self._memory) >= MEMORY_ANSWERS:
                self._memory.clear()
            self._memory[key] = (began + MEMORY_SECONDS, value)
        return value

    async def _together(
        self, flight: tuple[str, bytes], load: Callable[[], Awaitable[bytes]]
    ) -> bytes:
        """Load once for all who ask under the same stamp: none of them sees older rows than that.

        One of them going away does not take it from the others.
        """
        task = self._flights.get(flight)
        if task is None:
            task = asyncio.ensure_future(load())
            self._flights[flight] = task
            task.add_done_callback(lambda done: self._landed(flight, done))
        return await asyncio.shield(task)

    def _landed(self, flight: tuple[str, bytes], task: "asyncio.Task[bytes]") -> None:
        del self._flights[flight]
        if not task.cancelled():
            task.exception()  # whoever still waits gets it too
