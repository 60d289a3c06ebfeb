"""Everything that goes wrong, by name, and a schedule of it that a seed decides.

A fault is an async context manager: entering does the harm, leaving heals it. They come one at a
time: but for two of them one of the two stores can be reached, and Facebook must get its 200.
"""

import asyncio
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import aiohttp
import asyncpg
from redis.exceptions import RedisError

from deploy.local.errors import CannotStart
from shared.tasks import end
from tests.faults.cluster import BACKLOG, Cluster, until
from tests.faults.facebook import GIVES_UP_ON_AN_ANSWER
from tests.faults.failpoint import INGRESS_POINTS, WORKER_POINTS
from tests.faults.proxy import TOXICS, Toxic
from tests.stack import SECRET, Process, sign

Fault: TypeAlias = Callable[[Cluster, random.Random], AbstractAsyncContextManager[None]]

FAULTS: dict[str, Fault] = {}

PATIENT = 20.0
"""Seconds in which what a dead worker had is applied by another."""

READY_AGAIN = 10.0
"""Seconds from a store's being back to an empty backlog."""

OTHERS_SHARE = 4
"""What bounds in seconds are multiplied by at most: the machine may not be ours alone."""


def _fault(function: Callable[[Cluster, random.Random], AsyncIterator[None]]) -> Fault:
    made = asynccontextmanager(function)
    FAULTS[function.__name__] = made
    return made


class Nemesis:
    """A schedule of faults: every kind once in an order of the seed's, then again."""

    def __init__(self, seed: int, kinds: list[str] | None = None) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        self._kinds = sorted(kinds or FAULTS)

    def schedule(self) -> Iterator[tuple[str, float]]:
        """Yield names of faults and how many seconds each lasts, without end."""
        while True:
            kinds = list(self._kinds)
            self.dice.shuffle(kinds)
            for kind in kinds:
                yield kind, self.dice.uniform(0.3, 1.5)


# --- Redis ------------------------------------------------------------------------------------


@_fault
async def redis_killed(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    await cluster.redis.end()
    yield
    await cluster.redis.start()


@_fault
async def redis_restarted(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    await cluster.redis.end(signal.SIGTERM)
    await cluster.redis.start()
    yield


@_fault
async def redis_stopped(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    cluster.redis.send(signal.SIGSTOP)
    yield
    cluster.redis.send(signal.SIGCONT)


@_fault
async def redis_wiped(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    await cluster.redis.end()
    cluster.wipe_redis()
    yield
    await cluster.redis.start()


@_fault
async def redis_log_chopped(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    await cluster.redis.end()
    cluster.chop_redis(dice.uniform(0.01, 0.3))
    yield
    await cluster.redis.start()


@_fault
async def ingress_killed_and_redis_wiped(
    cluster: Cluster, dice: random.Random
) -> AsyncIterator[None]:
    """Whoever could have sent the last entries again is dead, and nobody had applied them."""
    for process in (cluster.worker, cluster.other):
        process.signal(signal.SIGSTOP)
    yield

    async def some_wait() -> bool:
        return (await cluster.stream.state()).unapplied >= 10

    await until(some_wait, OTHERS_SHARE * READY_AGAIN, "the ingress fills Redis")
    cluster.ingress.kill()
    await cluster.redis.end()
    cluster.wipe_redis()
    await cluster.redis.start()
    cluster.ingress.start()
    for process in (cluster.worker, cluster.other):
        process.signal(signal.SIGCONT)


@_fault
async def redis_failed_over_to_a_lagging_replica(
    cluster: Cluster, dice: random.Random
) -> AsyncIterator[None]:
    async with cluster.redis_copy() as copy:
        yield
        await cluster.redis.end()
        cluster.wipe_redis()
        shutil.copytree(copy, cluster.redis.data, dirs_exist_ok=True)
        await cluster.redis.start()


@_fault
async def redis_log_corrupted(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    """It does not start again until somebody has mended its log, and we do without."""
    await cluster.redis.end()
    spoilt = cluster.corrupt_redis()
    if spoilt:
        with contextlib.suppress(CannotStart):
            await cluster.redis.start()
            raise AssertionError("Redis starts on a spoilt log")
    yield
    if spoilt:
        cluster.mend_redis()
    await cluster.redis.start()


def _says(name: str, answer: bytes) -> None:
    async def answering(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
        await cluster.ways["redis"].be(b"-" + answer + b"\r\n")
        yield
        await cluster.ways["redis"].be(None)

    answering.__name__ = f"redis_says_{name}"
    _fault(answering)


_says("loading", b"LOADING Valkey is loading the dataset in memory")
_says("read_only", b"READONLY You can't write against a read only replica.")
_says("misconf", b"MISCONF Errors writing to the AOF file: No space left on device")
_says("no_auth", b"NOAUTH Authentication required.")
_says("wrong_password", b"WRONGPASS invalid username-password pair or user is disabled.")
_says("cluster_down", b"CLUSTERDOWN The cluster is down")


@_fault
async def redis_flushed(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    await cluster.client.flushall()
    yield


@_fault
async def redis_backlog_deleted(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    await cluster.client.delete(BACKLOG)
    yield


@_fault
async def redis_backlog_of_another_type(
    cluster: Cluster, dice: random.Random
) -> AsyncIterator[None]:
    async with cluster.client.pipeline(transaction=True) as pipe:
        pipe.delete(BACKLOG)
        pipe.set(BACKLOG, "somebody else's")
        await pipe.execute()
    yield
    await cluster.client.delete(BACKLOG)


@_fault
async def redis_group_destroyed(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    with contextlib.suppress(RedisError):
        await cluster.client.xgroup_destroy(BACKLOG, "workers")
    yield


@_fault
async def redis_group_rewound(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    """All that is still in the stream is given again."""
    with contextlib.suppress(RedisError):
        await cluster.client.xgroup_setid(BACKLOG, "workers", "0")
    yield


@_fault
async def redis_full(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    used = (await cluster.client.info("memory"))["used_memory"]
    await cluster.client.config_set("maxmemory", used)
    yield
    await cluster.client.config_set("maxmemory", 512 << 20)


@_fault
async def redis_weak(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    await cluster.client.config_set("appendfsync", "everysec")
    yield
    await cluster.client.config_set("appendfsync", "always")


@_fault
async def redis_evicting(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    await cluster.client.config_set("maxmemory-policy", "allkeys-lru")
    yield
    await cluster.client.config_set("maxmemory-policy", "noeviction")


@_fault
async def redis_clients_cut(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    await cluster.client.client_kill_filter(_type="normal", skipme=True)
    yield


@_fault
async def redis_read_only(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    """As a master that was made a replica: READONLY, or MASTERDOWN."""
    await cluster.client.execute_command("REPLICAOF", "127.0.0.1", "1")
    yield
    await cluster.client.execute_command("REPLICAOF", "NO", "ONE")


@_fault
async def redis_busy(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    script = "local t=redis.call('time')[1] while redis.call('time')[1]-t < 2 do end"
    busy = asyncio.create_task(cluster.client.eval(script, 0))
    yield
    with contextlib.suppress(RedisError):
        await busy


# --- Postgres ---------------------------------------------------------------------------------


@_fault
async def postgres_killed(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    await cluster.postgres.end()
    yield
    await cluster.postgres.start()


@_fault
async def postgres_stopped_at_once(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    await cluster.postgres.end(signal.SIGQUIT)
    yield
    await cluster.postgres.start()


@_fault
async def postgres_restarted(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    await cluster.postgres.end(signal.SIGINT)
    await cluster.postgres.start()
    yield


@contextlib.contextmanager
def frozen_postgres(cluster: Cluster) -> Iterator[None]:
    """Hold all of its processes as they stand."""
    pids = [cluster.postgres.pid, *_children(cluster.postgres.pid)]
    for pid in pids:
        _send(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            _send(pid, signal.SIGCONT)


@_fault
async def postgres_frozen(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    with frozen_postgres(cluster):
        yield


@_fault
async def postgres_backend_killed(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    """One backend killed makes Postgres end all of them and recover."""
    if backends := await _backends(cluster):
        _send(dice.choice(backends), signal.SIGKILL)
    yield


@_fault
async def postgres_backends_ended(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    await cluster.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'pagewire' or usename = 'pagewire' and pid <> pg_backend_pid()"
    )
    yield


@_fault
async def postgres_statements_cancelled(
    cluster: Cluster, dice: random.Random
) -> AsyncIterator[None]:
    for _ in range(20):
        await cluster.sql(
            "select pg_cancel_backend(pid) from pg_stat_activity"
            " where state <> 'idle' and pid <> pg_backend_pid()"
        )
        await asyncio.sleep(0.01)
    yield


@_fault
async def postgres_read_only(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    """As a standby after a failover."""
    await _configure(cluster, "alter system set default_transaction_read_only = on")
    yield
    await _configure(cluster, "alter system reset default_transaction_read_only")


@_fault
async def postgres_table_locked(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    async with _connected(cluster) as connection, connection.transaction():
        await connection.execute("lock table messages in access exclusive mode")
        yield


@_fault
async def postgres_table_locked_for_long(
    cluster: Cluster, dice: random.Random
) -> AsyncIterator[None]:
    """As by a migration that takes its time."""
    async with _connected(cluster) as connection, connection.transaction():
        await connection.execute("lock table messages in access exclusive mode")
        await asyncio.sleep(20)
        yield


@_fault
async def postgres_inbox_locked(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    async with _connected(cluster) as connection, connection.transaction():
        await connection.execute("lock table webhook_inbox in access exclusive mode")
        yield


@_fault
async def postgres_rows_locked_by_a_rival(
    cluster: Cluster, dice: random.Random
) -> AsyncIterator[None]:
    """Rows locked against our order, so that somebody is chosen as a deadlock's victim."""
    async with _connected(cluster) as connection:
        with contextlib.suppress(asyncpg.DeadlockDetectedError):
            async with connection.transaction():
                await connection.execute(
                    "select from conversations where last_sent_ms is not null"
                    " order by page_id desc, participant_id desc limit 40 for update"
                )
                await asyncio.sleep(0.3)
                await connection.execute(
                    "select from messages order by page_id desc, mid desc limit 200 for update"
                )
        yield


@_fault
async def postgres_crowded(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    """Somebody takes every connection that is left, and ours are cut."""
    taken: list[asyncpg.Connection] = []
    try:
        await postgres_connections_cut(cluster)
        with contextlib.suppress(asyncpg.TooManyConnectionsError):
            while len(taken) < 250:
                taken.append(await asyncpg.connect(cluster.postgres.url))
        yield
    finally:
        await asyncio.gather(*(one.close() for one in taken), return_exceptions=True)


async def postgres_connections_cut(cluster: Cluster) -> None:
    await cluster.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pagewire'"
    )


@_fault
async def postgres_refuses_our_login(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    """As with a password that was changed under us."""
    async with _connected(cluster) as connection:
        await connection.execute("alter role pagewire nologin")
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where usename = 'pagewire' and pid <> pg_backend_pid()"
        )
        yield
        await connection.execute("alter role pagewire login")


@_fault
async def postgres_long_transaction(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    async with _connected(cluster) as connection, connection.transaction():
        await connection.execute("select pg_current_xact_id()")
        yield


# --- the ways to both -------------------------------------------------------------------------


def _way(store: str, toxic: Toxic) -> None:
    async def way(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
        await cluster.ways[store].be(toxic)
        yield
        await cluster.ways[store].be(None)

    way.__name__ = f"{store}_way_{toxic}"
    _fault(way)


for _store in ("redis", "postgres"):
    for _toxic in TOXICS:
        _way(_store, _toxic)


def _both_ways(toxic: Toxic) -> None:
    """The one time that Facebook must not get its 200."""

    async def both(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
        await asyncio.gather(*(way.be(toxic) for way in cluster.ways.values()))
        yield
        await asyncio.gather(*(way.be(None) for way in cluster.ways.values()))

    both.__name__ = f"both_ways_{toxic}"
    _fault(both)


_both_ways("refuse")
_both_ways("black_hole")


# --- our processes ----------------------------------------------------------------------------


def _process(name: str, of: str, harm: signal.Signals) -> None:
    async def ended(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
        process: Process = getattr(cluster, of)
        if harm == signal.SIGKILL:
            process.kill()
        else:
            assert await cluster.stop(process) == 0
        yield
        process.start()

    async def frozen(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
        process: Process = getattr(cluster, of)
        process.signal(signal.SIGSTOP)
        yield
        process.signal(signal.SIGCONT)

    harmed = frozen if harm == signal.SIGSTOP else ended
    harmed.__name__ = name
    _fault(harmed)


_process("worker_killed", "worker", signal.SIGKILL)
_process("worker_deployed", "worker", signal.SIGTERM)
_process("worker_frozen", "worker", signal.SIGSTOP)
_process("second_worker_killed", "other", signal.SIGKILL)
_process("ingress_killed", "ingress", signal.SIGKILL)
_process("ingress_deployed", "ingress", signal.SIGTERM)
_process("ingress_frozen", "ingress", signal.SIGSTOP)


@_fault
async def all_workers_killed(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    for process in (cluster.worker, cluster.other):
        process.kill()
    yield
    for process in (cluster.worker, cluster.other):
        process.start()


@_fault
async def worker_gone(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    """It does not come back until others have applied what it held."""
    cluster.worker.kill()
    died_ms = int(time.time() * 1000)
    yield
    cluster.taken_over.append(
        await until(
            lambda: cluster.applied_up_to(died_ms), OTHERS_SHARE * PATIENT, "others take over"
        )
    )
    cluster.worker.start()


def _wrong_inside(name: str, of: str, **how: str) -> None:
    async def wrong(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
        async with cluster.instead(of, cluster.failing(of, **how)):
            yield
            # Long enough to be stopped, or to jump, some times.
            await asyncio.sleep(2)

    wrong.__name__ = name
    _fault(wrong)


_wrong_inside("ingress_loop_blocked", "ingress", BLOCKED="0.7")
_wrong_inside("worker_loop_blocked", "worker", BLOCKED="0.3")
_wrong_inside("ingress_clock_jumps_ahead", "ingress", CLOCK="3600")
_wrong_inside("ingress_clock_jumps_back", "ingress", CLOCK="-3600")
_wrong_inside("worker_clock_jumps", "worker", CLOCK="3600")


@_fault
async def ingress_out_of_files(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    """No connection can be taken, and none to a store be made, until there are some again."""
    pid = cluster.ingress.pid
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 3, usual[1]))
    silent = [await _socket_to(cluster) for _ in range(50)]
    yield
    resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
    for writer in silent:
        writer.transport.abort()


@_fault
async def app_secret_rotated(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    """First we know both, then Facebook signs with the new one, and all of it the way back."""
    both = cluster.stack.process("rotated", "ingress", FACEBOOK_APP_SECRET=f"the next one,{SECRET}")
    async with cluster.instead("ingress", both):
        cluster.secret = "the next one"
        yield
        cluster.secret = SECRET
        # What was signed with the other one is still under way.
        await asyncio.sleep(GIVES_UP_ON_AN_ANSWER)


@_fault
async def worker_away_for_long(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    """It comes back when another has taken over what it held, and still means to write it."""
    cluster.worker.signal(signal.SIGSTOP)
    await asyncio.sleep(16)
    yield
    cluster.worker.signal(signal.SIGCONT)


def _fails_at(of: str, point: str) -> None:
    async def failing(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
        process: Process = getattr(cluster, of)
        process.kill()
        broken = cluster.failing(of, FAILPOINT=f"{point}:{dice.randrange(1, 6)}")
        broken.start()
        try:

            async def ended() -> bool:
                return not broken.running

            await until(ended, 30, f"{of} ends {point}")
        finally:
            broken.kill()
            process.start()
        yield

    failing.__name__ = f"{of}_dies_{point}"
    _fault(failing)


for _point in WORKER_POINTS:
    _fails_at("worker", _point)
for _point in INGRESS_POINTS:
    _fails_at("ingress", _point)


# --- clients ----------------------------------------------------------------------------------


@_fault
async def clients_leave_in_their_body(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    head = b"POST /api/webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    for _ in range(50):
        writer = await _socket_to(cluster)
        writer.write(head + b"{" * dice.randrange(1000))
        await writer.drain()
        writer.transport.abort()
    yield


@_fault
async def clients_send_noise(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    for _ in range(50):
        writer = await _socket_to(cluster)
        writer.write(dice.randbytes(dice.randrange(1, 2000)) + b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.transport.abort()
    yield


@_fault
async def clients_sign_wrongly(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    async with aiohttp.ClientSession() as session:
        for _ in range(50):
            headers = {"X-Hub-Signature-256": f"sha256={dice.getrandbits(256):064x}"}
            async with session.post(
                cluster.url + "/api/webhook", data=b"{}", headers=headers
            ) as answer:
                assert answer.status == 401
    yield


@_fault
async def clients_five_times_too_many(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    """As much as can be sent over 64 connections: answered 200 or 503, and over when it is over."""
    sent = json.dumps({"object": "page", "entry": [], "pad": "x" * 10_000}).encode()
    answers: Counter[int] = Counter()

    async def send(session: aiohttp.ClientSession) -> None:
        headers = {"X-Hub-Signature-256": sign(sent), "Content-Type": "application/json"}
        while True:
            async with session.post(
                cluster.url + "/api/webhook", data=sent, headers=headers
            ) as answer:
                answers[answer.status] += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
        sending = [asyncio.create_task(send(session)) for _ in range(64)]
        yield
        await end(sending)
    assert answers.keys() <= {200, 503}, answers


@_fault
async def clients_say_nothing(cluster: Cluster, dice: random.Random) -> AsyncIterator[None]:
    silent = [await _socket_to(cluster) for _ in range(200)]
    yield
    for writer in silent:
        writer.transport.abort()


# --- hands ------------------------------------------------------------------------------------


async def _socket_to(cluster: Cluster) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", cluster.stack.port)
    return writer


@asynccontextmanager
async def _connected(cluster: Cluster) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(cluster.postgres.url)
    try:
        yield connection
    finally:
        connection.terminate()


async def _configure(cluster: Cluster, statement: str) -> None:
    async with _connected(cluster) as connection:
        await connection.execute("set default_transaction_read_only = off")
        await connection.execute(statement)
        await connection.execute("select pg_reload_conf()")


async def _backends(cluster: Cluster) -> list[int]:
    rows = await cluster.sql("select pid from pg_stat_activity where application_name = 'pagewire'")
    return [pid for (pid,) in rows]


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


STORE_FAULTS = tuple(name for name in FAULTS if name.startswith(("redis", "postgres")))
"""Those during which one store is away and the other is not: Facebook must get its 200."""

SHORT = (
    "redis_killed", "redis_stopped", "redis_full", "redis_way_black_hole",
    "redis_way_reset", "postgres_killed", "postgres_backends_ended", "postgres_read_only",
    "postgres_way_black_hole", "postgres_rows_locked_by_a_rival", "both_ways_refuse",
    "worker_killed",
    "worker_dies_before_commit", "worker_dies_after_commit", "worker_dies_after_announce",
    "ingress_killed", "ingress_dies_after_store", "ingress_deployed",
    "redis_wiped", "ingress_killed_and_redis_wiped", "redis_says_misconf", "app_secret_rotated",
)  # fmt: skip
"""The kinds of a short run."""

FEW = (
    "redis_killed", "redis_wiped", "postgres_backends_ended", "worker_dies_after_commit",
    "ingress_killed", "both_ways_refuse",
)  # fmt: skip
"""The kinds that every change is tried with."""
