"""Redis clients from a URL: bounded, with timeouts everywhere, and retrying nothing by themselves.

Whether a command may be sent twice only its caller knows.
"""

from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Redis, Sentinel
from redis.asyncio.connection import AbstractConnection, UnixDomainSocketConnection
from redis.asyncio.sentinel import SentinelConnectionPool

_SENTINEL_PORT = 26379


def connect(url: str, *, size: int = 10, timeout: float = 2.0, bound_replies: bool = True) -> Redis:
    """Return a client of at most `size` connections; nothing is sent yet.

    `timeout` (seconds) bounds connecting, waiting for a free connection and waiting for a reply;
    a client that blocks on the server needs one longer than it blocks. Without `bound_replies` a
    reply is waited for without end, for a caller who bounds that anyway: redis-py's own bound
    costs as much time as the command. `url` is `redis://`, `rediss://`, `unix://` or
    `redis+sentinel://host1:port,host2/name`; user and password, where given, are those of the
    Redis servers.
    """
    limits: dict[str, Any] = {
        "socket_timeout": timeout if bound_replies else None,
        "socket_connect_timeout": timeout,
    }
    if urlsplit(url).scheme == "redis+sentinel":
        return _through_sentinel(url, size, limits)
    pool = BlockingConnectionPool.from_url(
        url, max_connections=size, timeout=timeout, decode_responses=False, **limits
    )
    if not issubclass(pool.connection_class, UnixDomainSocketConnection):
        pool.connection_kwargs["socket_keepalive"] = True
    return _looked_at_cheaply(Redis.from_pool(pool))


class _CheapLook(AbstractConnection):
    """A connection that costs no turn of the event loop to look at.

    Before each command redis-py waits zero seconds for bytes that nobody asked for: a fifth of the
    command's time. Its reader knows already whether the other side hung up, and of a reply that
    was given up nothing is left to read: giving it up closed the connection.
    """

    async def can_read_destructive(self) -> bool:
        reader = self._reader
        return reader is None or reader.at_eof() or reader.exception() is not None


def _looked_at_cheaply(redis: Redis) -> Redis:
    pool = redis.connection_pool
    pool.connection_class = type("_Connection", (_CheapLook, pool.connection_class), {})
    return redis


class _SentinelPool(SentinelConnectionPool):
    """A pool that also closes the connections over which it asked for the master."""

    async def disconnect(self, inuse_connections: bool = True) -> None:
        await super().disconnect(inuse_connections)
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()


def _through_sentinel(url: str, size: int, limits: dict[str, Any]) -> Redis:
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    sentinels = []
    for host in hosts.split(","):
        name, _, port = host.partition(":")
        sentinels.append((name, int(port or _SENTINEL_PORT)))
    manager = Sentinel(sentinels, sentinel_kwargs=limits)  # type: ignore[no-untyped-call]
    master = manager.master_for(
        parts.path.strip("/"),
        connection_pool_class=_SentinelPool,
        username=unquote(user) or None,
        password=unquote(password) or None,
        db=int(dict(parse_qsl(parts.query)).get("db", 0)),
        max_connections=size,
        socket_keepalive=True,
        **limits,
    )
    return _looked_at_cheaply(cast("Redis", master))
