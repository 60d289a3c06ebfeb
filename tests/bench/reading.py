"""`python -m tests.bench.reading [--short]`: what readers get, of a whole Pagewire under load.

Prints, of one run on one machine: what a cached read costs beside one from Postgres; how many
reads hit the cache, and that none is stale, while conversations change; how long a webhook takes
to every one of many live streams, and what they cost the acknowledgements.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from uuid import UUID

from msgspec import Struct

from deploy.local import servers
from shared.cache import CHANNEL
from shared.redis import connect
from tests.bench.figures import percentile
from tests.stack import ROOT, Stack, running

PAGE = "100200300"
PEOPLE = 200
READERS = 20


class Size(Struct, frozen=True):
    """How much: reads of each kind, reads beside writes, streams and seconds of changes."""

    reads: int
    checked: int
    streams: int
    seconds: float


WHOLE = Size(reads=5000, checked=200_000, streams=500, seconds=20)
SHORT = Size(reads=1000, checked=10_000, streams=100, seconds=4)


class Reader:
    """Reads through the API of a stack, with one key."""

    def __init__(self, stack: Stack, key: str) -> None:
        self.stack = stack
        self.key = key
        self.headers = {"Authorization": f"Bearer {key}"}

    async def get(self, path: str) -> bytes:
        async with self.stack.session.get(self.stack.url + path, headers=self.headers) as answer:
            body = await answer.read()
            assert answer.status == 200, body
            return body

    async def data(self, path: str) -> dict:
        return json.loads(await self.get(path))

    async def cpu_of(self, read: Callable[[int], Awaitable[object]], count: int) -> float:
        """Return the microseconds of the ingress's CPU that one of `count` reads takes."""
        await _together(read, count // 10)
        before = _cpu(self.stack.ingress.pid)
        await _together(read, count)
        return 1e6 * (_cpu(self.stack.ingress.pid) - before) / count


async def _together(read: Callable[[int], Awaitable[object]], count: int) -> None:
    async def some(first: int) -> None:
        for number in range(first, count, READERS):
            await read(number)

    await asyncio.gather(*(some(first) for first in range(READERS)))


def _cpu(pid: int) -> float:
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> float:
    """Return the megabytes a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def _body(person: str, number: int) -> bytes:
    now = time.time_ns() // 1_000_000
    item = {
        "sender": {"id": person},
        "recipient": {"id": PAGE},
        "timestamp": now,
        "message": {"mid": f"m_{person}_{number}", "text": f"message {number}"},
    }
    return json.dumps(
        {"object": "page", "entry": [{"id": PAGE, "time": now, "messaging": [item]}]}
    ).encode()


async def cost(reader: Reader, size: Size) -> None:
    """A cached first slice beside the second one, which is read from Postgres."""
    for name, path in (
        ("conversation list", "/api/conversations"),
        ("messages", "/api/conversations/{id}/messages"),
    ):
        listed = (await reader.data("/api/conversations?limit=20"))["data"]
        paths = [path.format(id=one["id"]) + "?limit=20" for one in listed]
        cursors = [(await reader.data(one))["nextCursor"] for one in paths]

        async def cached(number: int, paths: Sequence[str] = paths) -> None:
            await reader.get(paths[number % len(paths)])

        async def stored(
            number: int, paths: Sequence[str] = paths, cursors: Sequence[str] = cursors
        ) -> None:
            at = number % len(paths)
            await reader.get(f"{paths[at]}&cursor={cursors[at]}")

        hit = await reader.cpu_of(cached, size.reads)
        miss = await reader.cpu_of(stored, size.reads)
        print(f"{name}: cached {hit:.0f} µs of CPU, from Postgres {miss:.0f} µs: {hit / miss:.0%}")


async def freshness(reader: Reader, size: Size) -> None:
    """A Zipf load of reads beside 50 writes a second, each checked against what was announced."""
    listed = (await reader.data(f"/api/conversations?limit={PEOPLE}"))["data"]
    ids = {one["participantId"]: one["id"] for one in listed}
    weights = {person: 1 / (rank + 1) for rank, person in enumerate(sorted(ids))}
    newest = dict.fromkeys(ids, 0)
    announced = {UUID(one): asyncio.Event() for one in ids.values()}
    hits, misses = await _counted(reader)
    stale = reads = writes = 0

    async def listen() -> None:
        async with connect(reader.stack.redis) as redis, redis.pubsub() as listening:
            await listening.subscribe(CHANNEL)
            while True:
                told = await listening.get_message(ignore_subscribe_messages=True, timeout=1)
                packed = told["data"] if told else b""
                for at in range(0, len(packed), 16):
                    announced[UUID(bytes=packed[at : at + 16])].set()

    async def write(writer: int) -> None:
        # One writer a conversation: what is announced of it then is what was just posted.
        nonlocal writes
        mine = [person for person in ids if int(person) % 4 == writer]
        for number in range(1000, 10**9):
            (person,) = random.choices(mine, [weights[one] for one in mine])
            announced[UUID(ids[person])].clear()
            await reader.stack.post(_body(person, number))
            await announced[UUID(ids[person])].wait()
            newest[person] = number
            writes += 1
            await asyncio.sleep(0.13 * random.random())

    async def check(number: int) -> None:
        nonlocal stale, reads
        (person,) = random.choices(list(weights), list(weights.values()))
        floor = newest[person]
        if number % 2:
            last = (await reader.data(f"/api/conversations/{ids[person]}"))["lastMessage"]
        else:
            last = (await reader.data(f"/api/conversations/{ids[person]}/messages"))["data"][0]
        stale += int(last["mid"].rpartition("_")[2]) < floor
        reads += 1

    beside = [asyncio.create_task(listen())]
    await asyncio.sleep(0.5)
    beside += [asyncio.create_task(write(writer)) for writer in range(4)]
    began = time.monotonic()
    await _together(check, size.checked)
    seconds = time.monotonic() - began
    for task in beside:
        task.cancel()
    now_hits, now_misses = await _counted(reader)
    rate = (now_hits - hits) / (now_hits - hits + now_misses - misses)
    print(
        f"{reads} reads at {reads / seconds:.0f}/s beside {writes / seconds:.0f} writes/s:"
        f" {stale} stale, {rate:.1%} from the cache"
    )


async def _counted(reader: Reader) -> tuple[float, float]:
    async with reader.stack.session.get(reader.stack.url + "/metrics") as answer:
        text = await answer.text()
    counted = {"hit": 0.0, "miss": 0.0}
    for line in text.splitlines():
        if line.startswith("pagewire_cache_reads_total") and 'family="conversations"' not in line:
            outcome = line.partition('outcome="')[2].partition('"')[0]
            counted[outcome] = counted.get(outcome, 0) + float(line.rpartition(" ")[2])
    return counted["hit"], counted["miss"]


async def fan_out(reader: Reader, size: Size) -> None:
    """From a webhook's POST to every stream, and what the streams cost the acknowledgements."""
    quiet = await _acks(reader, size.seconds, rate=100)
    memory = _memory(reader.stack.ingress.pid)
    busy, told = await _followed(reader, size.streams, size.seconds, rate=100)
    grown = _memory(reader.stack.ingress.pid) - memory
    print(
        f"{size.streams} streams, {len(busy)} webhooks: {told['fewest']} to {told['most']} changes"
        f" each; POST to frame p50 {told['p50']:.0f} ms, p99 {told['p99']:.0f} ms;"
        f" the ingress grew by {grown:.1f} MB;"
        f" ack p99 {percentile(quiet, 99):.1f} ms without, {percentile(busy, 99):.1f} ms with them"
    )


async def latency(reader: Reader, size: Size, rate: int) -> None:
    """From a webhook's POST to the frame of one stream."""
    _, told = await _followed(reader, 1, size.seconds, rate=rate)
    print(
        f"{rate} webhooks/s: POST to frame p50 {told['p50']:.0f} ms,"
        f" p99 {told['p99']:.0f} ms ({told['frames']} frames)"
    )


async def _followed(
    reader: Reader, streams: int, seconds: float, rate: int
) -> tuple[list[float], dict[str, float]]:
    """Post webhooks while a process follows the feed on many streams; return what both saw."""
    follower = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.streams"),
        *(str(reader.stack.port), reader.key, str(streams)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert follower.stdin is not None
    assert follower.stdout is not None
    assert await follower.stdout.readline() == b"open\n"
    took = await _acks(reader, seconds, rate)
    await asyncio.sleep(1)
    follower.stdin.close()
    told = json.loads(await follower.stdout.readline())
    await follower.wait()
    return took, told


async def _acks(reader: Reader, seconds: float, rate: int) -> list[float]:
    """Post webhooks, each of another person, and return the milliseconds to each 200."""
    took: list[float] = []

    async def one() -> None:
        now = time.time()
        assert await reader.stack.post(_body(str(int(now * 1e6)), 1)) == 200
        took.append(1000 * (time.time() - now))

    began, posts = time.perf_counter(), []
    for number in range(int(seconds * rate)):
        await asyncio.sleep(began + number / rate - time.perf_counter())
        posts.append(asyncio.create_task(one()))
    await asyncio.gather(*posts)
    return took


async def main(size: Size) -> None:
    with tempfile.TemporaryDirectory(prefix="pagewire-bench-") as name:
        home = Path(name)
        home.chmod(0o755)
        with servers.postgres(home, durable=True) as dsn, servers.redis(home, durable=True) as url:
            async with running(Stack(dsn, url, home)) as stack:
                await stack.command("page", "add", PAGE, "--name", "Bench")
                key = (await stack.command("key", "create", "--scope", "read"))["key"]
                for number in range(30):
                    await asyncio.gather(
                        *(stack.post(_body(str(700_000 + n), number)) for n in range(PEOPLE))
                    )
                await stack.until(stack.drained)
                reader = Reader(stack, key)
                await cost(reader, size)
                await freshness(reader, size)
                for rate in (50, 200):
                    await latency(reader, size, rate)
                await fan_out(reader, size)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a quick look, not figures to quote")
    sys.exit(asyncio.run(main(SHORT if parser.parse_args().short else WHOLE)))
