"""Whatever is sent, nobody crashes, nothing answers 5xx, and nobody else has to wait."""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.cluster import Cluster, cluster
from tests.faults.fuzz_json import NOW_MS, is_answered_for
from tests.faults.length import MINUTES, scaled
from tests.faults.report import Report
from tests.stack import ROOT, sign

HTTP_CASES = scaled(30_000, 600)
JSON_EXAMPLES = scaled(60_000, 300)
FUZZER_RUNS = scaled(200_000, 2_000)
SLOW_SOCKETS = 2_000 if MINUTES else 300
NORMAL_LOAD = 300 if MINUTES else 100  # requests before and during

NOISE = 0.0 if MINUTES else 0.05
"""Seconds; a short look has too few requests to tell a p99 well on a machine that does more."""

STALL = 0.1 if MINUTES else 1.0
"""Seconds that no other client waits while we do our worst."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made() -> AsyncIterator[Cluster]:
    async with cluster() as found:
        yield found


# --- HTTP -------------------------------------------------------------------------------------

METHODS = (b"GET", b"POST", b"PUT", b"OPTIONS", b"TRACE", b"POST POST", b"", b"\xff", b"p" * 300)
PATHS = (b"/api/webhook", b"/api/webhook?hub.mode=subscribe&hub.challenge=%00", b"//", b"*", b"",
         b"/api/conversations?limit=-1&cursor=%ff", b"/api/live", b"/readyz", b"/../..%2f",
         b"http://else.where/api/webhook", b"/" + b"a" * 9000)  # fmt: skip
VERSIONS = (b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"", b"http/1.1")
FIELDS = (b"Host: x", b"Host: x\r\nHost: y", b"Content-Length: 5", b"Content-Length: -5",
          b"Content-Length: 5\r\nContent-Length: 6", b"Transfer-Encoding: chunked",
          b"Transfer-Encoding: chunked, identity", b"Content-Encoding: gzip", b"X: " + b"y" * 9000,
          b"Expect: 100-continue", b"X-Hub-Signature-256: sha256=\xff", b" folded: x", b"no colon",
          b"Upgrade: websocket\r\nConnection: Upgrade", b"Authorization: Bearer \x00",
          b"Cookie: " + b"a=b;" * 500, b"X-Hub-Signature-256: sha256=" + b"0" * 64)  # fmt: skip
BODIES = (
    b"",
    b"hello",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"zz\r\n",
    b"\x00" * 50,
    b"ffffffffffffffff\r\nx",
)


def request(dice: random.Random) -> bytes:
    """A request by the grammar, in which every part may be wrong; one in five has bits turned."""
    lines = [
        b" ".join((dice.choice(METHODS), dice.choice(PATHS), dice.choice(VERSIONS))),
        *dice.sample(FIELDS, dice.randrange(6)),
    ]
    made = dice.choice((b"\r\n", b"\r\n", b"\r\n", b"\n")).join(lines) + b"\r\n\r\n"
    made += dice.choice(BODIES)
    if dice.random() < 0.2:
        turned = bytearray(made)
        for _ in range(dice.randrange(1, 8)):
            turned[dice.randrange(len(turned))] = dice.randrange(256)
        made = bytes(turned)
    return made


async def test_no_request_is_answered_5xx_or_holds_up_another(
    made: Cluster, report: Report
) -> None:
    """A stall shows in each of three looks; what else the machine does, hardly."""
    dice, answers = random.Random(report.seed), Counter()
    slowest = sorted([await _fuzz(made, dice, answers) for _ in range(3)])[1]
    assert made.ingress.running
    assert not [status for status in answers if 500 <= status < 600]
    assert slowest < STALL
    report.count("HTTP requests made by fuzz", sum(answers.values()))
    report.figures["slowest other request meanwhile, ms (median of 3 looks)"] = round(
        1000 * slowest
    )


async def _fuzz(made: Cluster, dice: random.Random, answers: Counter) -> float:
    """Send a third of the cases; return how long the slowest other request took."""
    cases, slowest, done = iter(range(HTTP_CASES // 3)), 0.0, False

    async def fuzz() -> None:
        for _ in cases:
            answers[await answered(made, request(dice))] += 1

    async def others() -> None:
        nonlocal slowest
        while not done:
            began = time.monotonic()
            assert await made.stack.post(b'{"object":"page","entry":[]}') == 200
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(others())
    await asyncio.gather(*(fuzz() for _ in range(16)))
    done = True
    await watching
    return slowest


async def answered(made: Cluster, sent: bytes) -> int:
    """Send bytes and hang up; return the status of the first answer, 0 for none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", made.stack.port)
    try:
        writer.write(sent)
        writer.write_eof()
        async with asyncio.timeout(15):
            line = await reader.readline()
        return int(line.split(b" ", 2)[1]) if line else 0
    except ConnectionError:
        return 0
    finally:
        writer.transport.abort()


# --- JSON -------------------------------------------------------------------------------------

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["m_1", "react", "unreact", "add", "page", NOW_MS, str(NOW_MS), -1, 2**70])
)  # fmt: skip
NAMES = st.sampled_from(
    [
        "id",
        "mid",
        "text",
        "sender",
        "recipient",
        "timestamp",
        "message",
        "postback",
        "reaction",
        "read",
        "delivery",
        "watermark",
        "mids",
        "attachments",
        "payload",
        "url",
        "type",
        "is_echo",
        "is_deleted",
        "reply_to",
        "message_edit",
        "num_edit",
        "action",
        "emoji",
        "field",
        "value",
        "label",
        "user",
        "optin",
        "referral",
        "sticker_id",
        "time",
        "object",
        "entry",
        "messaging",
        "changes",
    ]
) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=25,
)
PARTY = st.fixed_dictionaries({"id": st.sampled_from(["1001", "7001", 7001, None, "", "x" * 600])})
ITEMS = st.dictionaries(
    st.sampled_from(
        ["message", "postback", "reaction", "read", "delivery", "message_edit", "optin"]
    ),
    st.dictionaries(NAMES, VALUES, max_size=6),
    max_size=2,
).flatmap(
    lambda told: st.fixed_dictionaries(
        {"sender": PARTY, "recipient": PARTY, "timestamp": SCALARS},
        optional={"extra": VALUES},
    ).map(lambda parties: parties | told)
)
BODY = st.fixed_dictionaries(
    {
        "object": st.sampled_from(["page", "instagram", "user"]),
        "entry": st.lists(
            st.fixed_dictionaries(
                {"id": SCALARS | st.just("1001")},
                optional={
                    "time": SCALARS,
                    "messaging": st.lists(ITEMS | VALUES, max_size=4),
                    "changes": st.lists(VALUES, max_size=3),
                },
            ),
            max_size=3,
        ),
    }
)


@settings(
    max_examples=JSON_EXAMPLES, deadline=None, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(BODY | VALUES, st.randoms(use_true_random=False), st.booleans())
def _every_json_is_answered_for(told: object, dice: random.Random, turned: bool) -> None:
    body = bytearray(json.dumps(told).encode())
    if turned:
        for _ in range(dice.randrange(1, 6)):
            body[dice.randrange(len(body))] = dice.randrange(256)
    is_answered_for(bytes(body))


async def test_every_json_is_parsed_reduced_or_kept(report: Report) -> None:
    # Beside the loop: the cluster's ways to its stores run in it, and would stand still.
    await asyncio.to_thread(_every_json_is_answered_for)
    report.count("JSON bodies made by fuzz", JSON_EXAMPLES)


@pytest.mark.skipif(not find_spec("atheris"), reason="has no wheel for this machine")
@pytest.mark.timeout(1200)
async def test_bytes_that_look_for_every_branch_are_parsed_reduced_or_kept(report: Report) -> None:
    fuzzer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.fuzz_json", f"-runs={FUZZER_RUNS}"),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await fuzzer.communicate()
    assert fuzzer.returncode == 0, said.decode(errors="replace")[-3000:]
    report.count("bodies made by a coverage-guided fuzzer", 2 * FUZZER_RUNS)


# --- slowness ---------------------------------------------------------------------------------


async def test_slow_sockets_do_not_slow_the_others_down(made: Cluster, report: Report) -> None:
    """Idle, trickling a header, and trickling a body: a third each. Medians of three looks."""
    alone, beside = [], []
    for _ in range(3):
        alone.append(await p99(made))
        async with slow_sockets(made, SLOW_SOCKETS):
            beside.append(await p99(made))
    before, during = sorted(alone)[1], sorted(beside)[1]
    report.figures[f"ack p99 alone / beside {SLOW_SOCKETS:,} slow sockets, ms"] = (
        f"{1000 * before:.1f} / {1000 * during:.1f}"
    )
    assert during <= max(before * 1.2, before + 0.005) + NOISE


@asynccontextmanager
async def slow_sockets(made: Cluster, count: int) -> AsyncIterator[None]:
    """Keep so many open; what the ingress closes is opened again."""
    head = (
        b"POST /api/webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
        b"X-Hub-Signature-256: " + sign(b"{}").encode() + b"\r\n"
    )
    begun = (b"", head + b"X-A: ", head + b"\r\n{")
    slow: dict[int, asyncio.StreamWriter] = {}
    all_open = asyncio.Event()

    async def keep_up() -> None:
        while True:
            for number in range(count):
                if number not in slow or slow[number].transport.is_closing():
                    _, slow[number] = await asyncio.open_connection("127.0.0.1", made.stack.port)
                    slow[number].write(begun[number % 3])
                elif number % 3:
                    slow[number].write(b"a")
            all_open.set()
            await asyncio.sleep(1)

    keeping = asyncio.create_task(keep_up())
    try:
        async with asyncio.timeout(60):
            await all_open.wait()
        yield
    finally:
        keeping.cancel()
        for writer in slow.values():
            writer.transport.abort()


async def p99(made: Cluster) -> float:
    times = []
    for _ in range(NORMAL_LOAD):
        began = time.monotonic()
        assert await made.stack.post(b'{"object":"page","entry":[]}') == 200
        times.append(time.monotonic() - began)
        await asyncio.sleep(0.005)
    return sorted(times)[int(len(times) * 0.99)]
