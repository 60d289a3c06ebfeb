"""The calls a Page and the app may still make, shared by all workers through Redis.

Counted are a Page's calls over any sliding second, and what Facebook's usage headers say. One
round trip asks for many Pages at once; a Page that must wait costs the others nothing.

It is a Lua script: the decision reads and writes several keys at once, and MULTI cannot decide
while WATCH would make workers retry each other away just when a Page is busy. Under an ACL the
user needs `+eval +evalsha +script|load` on `pagewire:graph:*`. Time is the Redis server's.
https://developers.facebook.com/docs/graph-api/overview/rate-limiting
"""

import math
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import cast

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import Unavailable
from shared.facebook.graph.usage import Spent

SLOW_FROM = 70
"""Percent of a limit from which calls are spread out."""

# Facebook counts when calls arrive: one that was held up on its way comes closer to the next. So
# our second is a tenth longer.
_WINDOW_MS = 1_100


class Priority(IntEnum):
    """Who asks; the lower the number, the sooner it gets the calls there are."""

    PEOPLE = 0
    CRON = 1
    HISTORY = 2


class Grant(Struct, frozen=True):
    """How many calls a Page may make now; with none, `wait` says in how many seconds to ask."""

    calls: int
    wait: float = 0.0


# A Page's hash: `hold` (closed until), `usage` and `told` (when), `asked:N` (when priority N was
# last refused); a list beside it holds the times of its latest calls, newest first.
_TAKE = """
local app, priority, limit, window, slow_from = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]),
    tonumber(ARGV[3]), tonumber(ARGV[4])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function number(key, field)
    return tonumber(redis.call('HGET', key, field) or '0')
end

-- Usage decays while nobody calls: what was told more than five minutes ago counts no more.
local function usage(key)
    if now - number(key, 'told') > 300000 then return 0 end
    return number(key, 'usage')
end

local function gap(percent)
    if percent < slow_from then return 0 end
    return 1000 * 2 ^ ((percent - slow_from) / 5 + priority)
end

local function wait(page, calls)
    local hold = math.max(number(app, 'hold'), number(page, 'hold'))
    if hold > now then return hold - now end
    -- Whoever comes first in rank was refused a moment ago: let them have the next call.
    for rank = 0, priority - 1 do
        local asked = number(page, 'asked:' .. rank)
        if asked + 2 * window > now then return math.min(window, asked + 2 * window - now) end
    end
    local last = tonumber(redis.call('LINDEX', calls, 0) or '-inf')
    local spread = last + gap(math.max(usage(app), usage(page)))
    if spread > now then return spread - now end
    if limit > 0 then
        local oldest = tonumber(redis.call('LINDEX', calls, limit - 1) or '-inf')
        if oldest + window > now then return oldest + window - now end
    end
    return 0
end

local answer = {}
for n = 2, #KEYS, 2 do
    local page, calls, wanted = KEYS[n], KEYS[n + 1], tonumber(ARGV[4 + n / 2])
    -- Facebook may work off a batch item by item, each counted when its turn comes: a second call
    -- of the same Page in one request could be counted with the next request's.
    if limit > 0 then wanted = math.min(wanted, 1) end
    local granted, waits = 0, 0
    while granted < wanted do
        waits = wait(page, calls)
        if waits > 0 then break end
        redis.call('LPUSH', calls, now)
        granted = granted + 1
    end
    if granted > 0 then
        redis.call('LTRIM', calls, 0, math.max(limit, 1) - 1)
        redis.call('PEXPIRE', calls, 600000)
        redis.call('HDEL', page, 'asked:' .. priority)
    else
        redis.call('HSET', page, 'asked:' .. priority, now)
        redis.call('PEXPIRE', page, math.max(600000, redis.call('PTTL', page)))
    end
    answer[#answer + 1] = granted
    answer[#answer + 1] = math.ceil(waits)
end
return answer
"""

_LEARN = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for n = 1, #KEYS do
    local percent, closed = tonumber(ARGV[2 * n - 1]), tonumber(ARGV[2 * n])
    if percent > 0 then redis.call('HSET', KEYS[n], 'usage', percent, 'told', now) end
    local hold = tonumber(redis.call('HGET', KEYS[n], 'hold') or '0')
    if closed > 0 and now + closed > hold then
        redis.call('HSET', KEYS[n], 'hold', now + closed)
        hold = now + closed
    end
    redis.call('PEXPIRE', KEYS[n], math.max(600000, hold - now))
end
"""

_APP = "pagewire:graph:app"
_FRESH_MS = 300_000  # what was told longer ago counts no more, as in the script


class Budget:
    """The shared budget. `calls_per_second` is a Page's; 0 means no such limit."""

    def __init__(self, redis: Redis, calls_per_second: float) -> None:
        self._take = redis.register_script(_TAKE)
        self._learn = redis.register_script(_LEARN)
        self._limit = math.ceil(calls_per_second) if calls_per_second < 1 else int(calls_per_second)
        # Half a call a second is one in two seconds.
        self._window = int(_WINDOW_MS / min(calls_per_second or 1, 1))

    async def take(self, wanted: Mapping[str, int], priority: Priority) -> dict[str, Grant]:
        """Take up to so many calls for each Page, to be made in one request.

        Where calls are counted by the second, a Page gets one at a time. Raises Unavailable when
        Redis does not answer.
        """
        if not wanted:
            return {}
        keys = [_APP]
        for page_id in wanted:
            keys += [_page(page_id), f"pagewire:graph:calls:{page_id}"]
        arguments = [int(priority), self._limit, self._window, SLOW_FROM, *wanted.values()]
        try:
            answer = cast("list[int]", await self._take(keys=keys, args=arguments))
        except RedisError as error:
            raise Unavailable(f"Redis does not answer: {type(error).__name__}") from error
        granted = zip(answer[::2], answer[1::2], strict=True)
        return {
            page_id: Grant(calls, 0.0 if calls else wait / 1000)
            for page_id, (calls, wait) in zip(wanted, granted, strict=True)
        }

    async def learn(self, app: Spent, pages: Mapping[str, Spent]) -> None:
        """Remember what is spent of the limits, and close until then what is closed.

        Nothing spent is nothing told: Facebook sends its headers only sometimes.
        Raises Unavailable when Redis does not answer.
        """
        spent_by = {_page(page_id): spent for page_id, spent in pages.items()} | {_APP: app}
        told = {key: spent for key, spent in spent_by.items() if spent != Spent()}
        if not told:
            return
        arguments: list[int] = []
        for spent in told.values():
            arguments += [spent.percent, spent.closed_seconds * 1000]
        try:
            await self._learn(keys=list(told), args=arguments)
        except RedisError as error:
            raise Unavailable(f"Redis does not answer: {type(error).__name__}") from error


class Standing(Struct, frozen=True):
    """What Facebook last said of a Page's limits: percent used, seconds until it may be called."""

    percent: int | None
    hold_seconds: float


async def standings(redis: Redis, page_ids: Sequence[str]) -> dict[str, Standing]:
    """Return how Pages stand, the app's own limits included; raises what Redis raises."""
    async with redis.pipeline(transaction=False) as pipe:
        pipe.time()
        for key in (_APP, *map(_page, page_ids)):
            pipe.hmget(key, ["usage", "told", "hold"])
        (seconds, micros), app, *pages = await pipe.execute()
    now_ms = seconds * 1000 + micros // 1000
    return {
        page_id: _standing([_told(app, now_ms), _told(page, now_ms)])
        for page_id, page in zip(page_ids, pages, strict=True)
    }


def _told(held: Sequence[bytes | None], now_ms: int) -> Standing:
    usage, told, hold = (None if one is None else int(float(one)) for one in held)
    is_fresh = told is not None and now_ms - told <= _FRESH_MS
    return Standing(usage if is_fresh else None, max(0, (hold or 0) - now_ms) / 1000)


def _standing(told: Sequence[Standing]) -> Standing:
    """Return the stricter of what was told of the app and of a Page."""
    percents = [one.percent for one in told if one.percent is not None]
    return Standing(max(percents, default=None), max(one.hold_seconds for one in told))


def _page(page_id: str) -> str:
    return f"pagewire:graph:page:{page_id}"
