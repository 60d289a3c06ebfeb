"""How much of a crash an acknowledged entry in Redis survives, as a level from 0 to 3."""

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import ResponseError

SAFEST = 3
"""Survives a power loss: on disk before it was acknowledged, in Redis or in Postgres."""


class Durability(Struct, frozen=True, kw_only=True):
    """`level` 3 survives a power loss, 2 all but two seconds of it, 1 a crash of Redis, 0 nothing.

    `evicts` is the eviction policy where it is one that silently deletes what was acknowledged.
    """

    level: int
    why: str
    evicts: str | None


_BY_FSYNC = {
    "always": (SAFEST, "every entry is on disk before it is acknowledged"),
    "everysec": (2, "appendfsync is everysec: a power loss takes up to two seconds of entries"),
    "no": (1, "appendfsync is no: a power loss takes what the system had not written yet"),
    None: (1, "appendonly is on, but Redis does not tell how it is synced (CONFIG GET is refused)"),
}


def judge(*, appendonly: bool, appendfsync: str | None, policy: str) -> Durability:
    """Return the level of a server so configured; `appendfsync` None: it does not tell."""
    level, why = 0, "appendonly is off: a restart of Redis takes every entry"
    if appendonly:
        level, why = _BY_FSYNC.get(appendfsync, _BY_FSYNC["no"])
    evicts = None if policy == "noeviction" else policy
    if evicts:
        level, why = 0, f"maxmemory-policy is {evicts}: Redis may delete entries; set noeviction"
    return Durability(level=level, why=why, evicts=evicts)


async def measure(redis: Redis) -> Durability:
    """Ask a server; raises what redis-py raises."""
    info = await redis.info("persistence", "memory")  # type: ignore[arg-type]
    try:
        appendfsync = (await redis.config_get("appendfsync")).get("appendfsync")
    except ResponseError:  # managed servers and narrow ACLs refuse CONFIG
        appendfsync = None
    return judge(
        appendonly=bool(info["aof_enabled"]),
        appendfsync=appendfsync,
        policy=info["maxmemory_policy"],
    )
