"""What each process counts, told to the others every few seconds through Redis.

`/metrics` tells one process's numbers; whoever shows all of them reads the beats. Losing a beat
costs nothing: the next one has the same counters, further on.
"""

import asyncio
import os
import resource
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
from msgspec import Struct, field
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared import log

_log = log.get(__name__)

KEY = "pagewire:processes"
"""A hash: the newest beat of each process by its name."""

EVERY = 5.0
"""Seconds between beats."""

ALIVE = 15.0
"""Seconds after its last beat a process is taken for gone."""

_FORGOTTEN = 3600.0
_TOLD = tuple(
    f"pagewire_{name}"
    for name in (
        "webhook_seconds",
        "visible_seconds",
        "ingest_items",
        "cache_reads",
        "backlog_unapplied",
        "backlog_oldest",
        "backlog_usable",
        "durability_level",
        "cron_",
        "job_seconds",
    )
)  # the beginnings of the metrics' names that others show


class Sample(Struct, frozen=True, array_like=True):
    """One number under its metric's name and labels."""

    name: str
    labels: dict[str, str]
    value: float


class Beat(Struct, frozen=True, kw_only=True):
    """A process as it was at `at` (seconds since the epoch)."""

    name: str
    kind: str
    host: str
    pid: int
    version: str
    started_at: float
    at: float
    rss_bytes: int | None
    samples: list[Sample] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        """Whether the process was heard of lately."""
        return time.time() - self.at < ALIVE


Numbers = Callable[[], Mapping[str, float]]


class Heartbeat:
    """This process's own beat.

    `name` tells it from all others, `kind` is what it is (`worker`, `ingress`). Beside its metrics
    it tells `numbers` of the moment.
    """

    def __init__(self, redis: Redis, *, name: str, kind: str, numbers: Numbers) -> None:
        self._redis = redis
        self._name = name
        self._kind = kind
        self._numbers = numbers
        self._started_at = time.time()

    async def run(self, stop: asyncio.Event) -> None:
        """Beat until `stop`, then say goodbye; Redis's absence is waited out."""
        try:
            while not stop.is_set():
                await self._tell()
                with suppress(TimeoutError):
                    async with asyncio.timeout(EVERY):
                        await stop.wait()
        finally:
            await self._goodbye()

    def beat(self) -> Beat:
        """Return what this process has to tell now."""
        return Beat(
            name=self._name,
            kind=self._kind,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=_version(),
            started_at=self._started_at,
            at=time.time(),
            rss_bytes=_rss(),
            samples=[
                *self._metrics(),
                *(Sample(name, {}, value) for name, value in self._numbers().items()),
            ],
        )

    async def _tell(self) -> None:
        packed = msgspec.msgpack.encode(self.beat())
        try:
            await self._redis.hset(KEY, self._name, packed)  # type: ignore[misc,arg-type]
        except (RedisError, OSError) as error:
            _log.debug("no_heartbeat", error=type(error).__name__)

    def _metrics(self) -> Iterable[Sample]:
        for family in REGISTRY.collect():
            if family.name.startswith(_TOLD):
                for sample in family.samples:
                    if not sample.name.endswith("_created"):
                        yield Sample(sample.name, dict(sample.labels), sample.value)

    async def _goodbye(self) -> None:
        with suppress(RedisError, OSError):
            await self._redis.hdel(KEY, self._name)  # type: ignore[misc]


async def beats(redis: Redis) -> list[Beat]:
    """Return the last beat of every process, by name, and forget those long gone.

    Raises what Redis raises.
    """
    held: dict[bytes, bytes] = await redis.hgetall(KEY)  # type: ignore[misc]
    found, gone = [], []
    for name, raw in held.items():
        try:
            beat = msgspec.msgpack.decode(raw, type=Beat)
        except msgspec.MsgspecError:
            gone.append(name)  # of another release
            continue
        if time.time() - beat.at > _FORGOTTEN:
            gone.append(name)
        else:
            found.append(beat)
    if gone:
        await redis.hdel(KEY, *gone)  # type: ignore[misc,arg-type]
    return sorted(found, key=lambda beat: beat.name)


def _version() -> str:
    try:
        return version("pagewire")
    except PackageNotFoundError:
        return "0"


def _rss() -> int | None:
    """Return the bytes of memory this process holds, where the system tells."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * resource.getpagesize()
