"""`python -m tests.bench.reading [--short]`: what readers get, of a whole Pagewire under load.

Measures, in one run on one machine: what a cached read costs beside one from Postgres; how many
reads hit the cache, and that none is stale, while conversations change; how long a webhook takes
to a stream's frame and to the row somebody sees; what many streams cost the acknowledgements.
Every line names what it promises; the exit status is 1 when one of them is not kept. A whole run
writes them into the guide on scaling.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

import aiohttp
from msgspec import Struct

from deploy.local import servers
from shared.cache import Cache
from shared.redis import connect
from tests.bench import screen
from tests.bench.figures import percentile
from tests.stack import ROOT, Stack, running

PAGE = "100200300"
PEOPLE = 200
READERS = 20
WRITERS = 4
WRITES_PER_SECOND = 50
GUIDE = ROOT / "deploy" / "guides" / "scaling.md"
BEGIN, END = "<!-- reading: begin -->\n", "<!-- reading: end -->"


class Size(Struct, frozen=True):
    """How much: reads of each kind, reads beside writes, streams, and seconds of each load."""

    reads: int
    checked: int
    streams: int
    seconds: float


WHOLE = Size(reads=5000, checked=200_000, streams=500, seconds=15)
SHORT = Size(reads=1000, checked=10_000, streams=100, seconds=4)


class Line(Struct, frozen=True):
    """What was measured, what it was, what is promised, and whether that is kept."""

    what: str
    found: str
    promised: str
    kept: bool


class Reader:
    """Reads through the API of a stack, with one key."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession, key: str) -> None:
        self.stack = stack
        self.key = key
        self._http = http

    async def get(self, path: str) -> bytes:
        headers = {"Authorization": f"Bearer {self.key}"}
        async with self._http.get(self.stack.url + path, headers=headers) as answer:
            body = await answer.read()
            assert answer.status == 200, body
            return body

    async def data(self, path: str) -> dict:
        return json.loads(await self.get(path))

    async def cost(self, paths: Sequence[str], count: int) -> float:
        """Return the microseconds of the ingress's CPU that one of `count` reads takes."""

        async def read(number: int) -> None:
            await self.get(paths[number % len(paths)])

        await together(read, count // 10)
        before = _cpu(self.stack.ingress.pid)
        await together(read, count)
        return 1e6 * (_cpu(self.stack.ingress.pid) - before) / count

    async def counted(self, *families: str) -> dict[str, float]:
        """Return how many reads of some families the cache had (`hit`), and had not (`miss`)."""
        counted = {"hit": 0.0, "miss": 0.0}
        for line in (await self.get("/metrics")).decode().splitlines():
            name, _, value = line.rpartition(" ")
            told = dict(re.findall(r'(\w+)="(\w+)"', name))
            if name.startswith("pagewire_cache_reads_total") and told["family"] in families:
                counted[told["outcome"]] = counted.get(told["outcome"], 0) + float(value)
        return counted


async def together(read: Callable[[int], Awaitable[object]], count: int) -> None:
    """Read as several readers at once."""

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
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _body(person: str, number: int, text: str = "") -> bytes:
    now = time.time_ns() // 1_000_000
    item = {
        "sender": {"id": person},
        "recipient": {"id": PAGE},
        "timestamp": now,
        "message": {"mid": f"m_{person}_{number}", "text": text or f"message {number}"},
    }
    return json.dumps(
        {"object": "page", "entry": [{"id": PAGE, "time": now, "messaging": [item]}]}
    ).encode()


async def cached(reader: Reader, size: Size) -> AsyncIterator[Line]:
    """A first slice, which is cached, beside the second one, which is read from Postgres."""
    listed = (await reader.data("/api/conversations?limit=20"))["data"]
    for name, paths in (
        ("list", ["/api/conversations?limit=20"]),
        ("messages", [f"/api/conversations/{one['id']}/messages?limit=20" for one in listed]),
    ):
        cursors = [(await reader.data(path))["nextCursor"] for path in paths]
        below = [f"{path}&cursor={cursor}" for path, cursor in zip(paths, cursors, strict=True)]
        before = await reader.counted("conversations", "messages")
        hit = await reader.cost(paths, size.reads)
        missed = (await reader.counted("conversations", "messages"))["miss"] - before["miss"]
        miss = await reader.cost(below, size.reads)
        yield Line(
            f"{size.reads:,} cached reads ({name}): not from the cache",
            f"{missed:.0f}",
            "0",
            missed == 0,
        )
        yield Line(
            f"a cached read ({name}): CPU beside one not cached",
            f"{hit:.0f} / {miss:.0f} µs = {hit / miss:.0%}",
            "at most 60 %",
            hit <= 0.6 * miss,
        )


async def fresh(reader: Reader, size: Size) -> AsyncIterator[Line]:
    """A Zipf load of reads beside 50 writes a second, each checked against what was announced."""
    listed = (await reader.data(f"/api/conversations?limit={PEOPLE}"))["data"]
    ids = {one["participantId"]: one["id"] for one in listed}
    weights = {person: 1 / (rank + 1) for rank, person in enumerate(sorted(ids))}
    newest = dict.fromkeys(ids, 0)
    announced = {UUID(one): asyncio.Event() for one in ids.values()}
    stale = writes = 0

    async def write(writer: int) -> None:
        # One writer a conversation: what is announced of it then is what was just posted.
        nonlocal writes
        mine = [person for person in ids if int(person) % WRITERS == writer]
        began = time.monotonic()
        for number in range(1000, 10**9):
            due = began + (number - 1000) * WRITERS / WRITES_PER_SECOND
            await asyncio.sleep(due - time.monotonic())
            (person,) = random.choices(mine, [weights[one] for one in mine])
            announced[UUID(ids[person])].clear()
            await reader.stack.post(_body(person, number))
            await announced[UUID(ids[person])].wait()
            newest[person] = number
            writes += 1

    async def check(number: int) -> None:
        nonlocal stale
        (person,) = random.choices(list(weights), list(weights.values()))
        floor = newest[person]
        if number % 2:
            last = (await reader.data(f"/api/conversations/{ids[person]}"))["lastMessage"]
        else:
            last = (await reader.data(f"/api/conversations/{ids[person]}/messages"))["data"][0]
        stale += int(last["mid"].rpartition("_")[2]) < floor

    before = await reader.counted("conversation", "messages")
    async with _listening(reader.stack, announced):
        writing = [asyncio.create_task(write(writer)) for writer in range(WRITERS)]
        began = time.monotonic()
        await together(check, size.checked)
        seconds = time.monotonic() - began
        for task in writing:
            task.cancel()
    after = await reader.counted("conversation", "messages")
    hits, misses = (after[one] - before[one] for one in ("hit", "miss"))
    rate = hits / (hits + misses)
    load = f"{size.checked / seconds:.0f} reads/s beside {writes / seconds:.0f} writes/s"
    yield Line(f"{size.checked:,} reads, each checked: stale", f"{stale}; {load}", "0", stale == 0)
    yield Line("of these, from the cache", f"{rate:.1%}", "over 90 %", rate > 0.9)


@asynccontextmanager
async def _listening(stack: Stack, announced: dict[UUID, asyncio.Event]) -> AsyncIterator[None]:
    """Set the events of conversations whose changes are announced."""
    cache = Cache(connect(stack.redis))
    told = cache.announcements()
    await anext(told)  # from here on it hears everything

    async def listen() -> None:
        async for conversations in told:
            for conversation in conversations:
                announced[conversation].set()

    task = asyncio.create_task(listen())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await cache.aclose()


async def soon(reader: Reader, size: Size) -> AsyncIterator[Line]:
    """From a webhook's POST to the frame of one stream."""
    for rate in (50, 200):
        _, told = await _followed(reader, 1, size.seconds, rate)
        yield Line(
            f"{rate} webhooks/s: POST to frame, p50 / p99",
            f"{told['p50']:.0f} / {told['p99']:.0f} ms ({told['frames']} frames)",
            "p99 under 100 ms",
            told["p99"] < 100 and told["frames"] == rate * size.seconds,
        )


async def seen(reader: Reader, size: Size) -> AsyncIterator[Line]:
    """From a webhook's POST to the row somebody sees in an open inbox."""
    for rate in (50, 200):

        async def post(rate: int = rate) -> None:
            await _acks(reader, size.seconds, rate, of=range(700_000, 700_030))

        took = await screen.milliseconds(reader.stack.url, reader.key, post)
        if took is None:
            yield Line("POST to row on the screen", "there is no Chromium here", "", kept=True)
            return
        yield Line(
            f"{rate} webhooks/s: POST to row on the screen, p50 / p99",
            f"{percentile(took, 50):.0f} / {percentile(took, 99):.0f} ms ({len(took)} rows)",
            "",
            bool(took),
        )


async def fan_out(reader: Reader, size: Size) -> AsyncIterator[Line]:
    """To every one of many streams, and what they cost the acknowledgements."""
    rate, ingress = 100, reader.stack.ingress.pid
    without = percentile(await _acks(reader, size.seconds, rate), 99)
    memory = _memory(ingress)
    took, told = await _followed(reader, size.streams, size.seconds, rate)
    grown, beside = _memory(ingress) - memory, percentile(took, 99)
    yield Line(
        f"{size.streams} streams, {len(took)} webhooks: changes each got",
        f"{told['fewest']} to {told['most']}; POST to frame p50 / p99"
        f" {told['p50']:.0f} / {told['p99']:.0f} ms",
        "all",
        told["fewest"] == told["most"] == len(took),
    )
    yield Line(
        f"{size.streams} streams: writes a second to each",
        f"{told['reads'] / size.seconds:.1f}",
        "at most one in 50 ms",
        told["reads"] / size.seconds <= 21,
    )
    yield Line(
        f"{size.streams} streams: memory the ingress grew by",
        f"{grown:.1f} MB",
        "under 100 kB a stream",
        grown < 0.1 * size.streams,
    )
    yield Line(
        f"{size.streams} streams: ack p99 without and with them",
        f"{without:.1f} and {beside:.1f} ms",
        "20 % or 5 ms more at most",
        beside - without <= max(5, 0.2 * without),
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
    follower.stdin.write(b"%d\n" % len(took))
    follower.stdin.close()
    told = json.loads(await follower.stdout.readline())
    await follower.wait()
    return took, told


async def _acks(reader: Reader, seconds: float, rate: int, of: Sequence[int] = ()) -> list[float]:
    """Post webhooks, of new people or of some, and return the milliseconds to each 200.

    A new person's id and the text are the time: whoever sees one of them knows how old it is.
    """
    took: list[float] = []

    async def one(number: int) -> None:
        now = time.time()
        person = str(of[number % len(of)]) if of else str(int(now * 1e6))
        body = _body(person, int(now * 1e6), text=f"at {now * 1000:.0f}")
        assert await reader.stack.post(body) == 200
        took.append(1000 * (time.time() - now))

    began, posts = time.perf_counter(), []
    for number in range(int(seconds * rate)):
        await asyncio.sleep(began + number / rate - time.perf_counter())
        posts.append(asyncio.create_task(one(number)))
    await asyncio.gather(*posts)
    return took


# What adds people to the list comes last.
MEASUREMENTS: tuple[Callable[[Reader, Size], AsyncIterator[Line]], ...] = (
    cached,
    fresh,
    seen,
    soon,
    fan_out,
)


async def measure(size: Size) -> list[Line]:
    """Take all measurements, telling each as it comes."""
    lines = []
    with tempfile.TemporaryDirectory(prefix="pagewire-bench-") as name:
        home = Path(name)
        home.chmod(0o755)
        with servers.postgres(home, durable=True) as dsn, servers.redis(home, durable=True) as url:
            async with running(Stack(dsn, url, home)) as stack, aiohttp.ClientSession() as http:
                await stack.command("page", "add", PAGE, "--name", "Bench")
                key = (await stack.command("key", "create", "--scope", "read"))["key"]
                for number in range(30):
                    await asyncio.gather(
                        *(stack.post(_body(str(700_000 + n), number)) for n in range(PEOPLE))
                    )
                reader = Reader(stack, http, key)
                for measurement in MEASUREMENTS:
                    await stack.until(stack.drained)
                    async for line in measurement(reader, size):
                        lines.append(line)
                        mark = "ok  " if line.kept else "MISS"
                        print(f"{mark} {line.what:58} {line.found}", flush=True)
    return lines


def table(lines: Sequence[Line]) -> Iterator[str]:
    """Yield the lines of a Markdown table, and what it was measured on."""
    yield "| | measured | promised |"
    yield "|---|---|---|"
    for line in lines:
        yield f"| {line.what} | {line.found} | {line.promised}{'' if line.kept else ' (missed)'} |"
    yield ""
    yield f"`python -m tests.bench.reading`, everything on one machine of {os.cpu_count()} cores,"
    yield f"Redis and Postgres both waiting for the disk; Python {platform.python_version()}."


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.reading", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a quick look, not figures to quote")
    short = parser.parse_args().short
    lines = asyncio.run(measure(SHORT if short else WHOLE))
    if not short:
        before, _, rest = GUIDE.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        GUIDE.write_text(before + BEGIN + "\n".join(table(lines)) + "\n" + END + after)
    return 0 if all(line.kept for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
