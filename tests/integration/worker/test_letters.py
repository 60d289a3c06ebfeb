"""Dead letters that are retried go back to where they came from."""

from collections.abc import AsyncIterator

import pytest
from arq import ArqRedis
from msgspec import Struct

from shared import queue
from shared.backlog.envelope import unpack
from shared.backlog.inbox import Inbox
from shared.backlog.postgres import open_pool
from shared.queue import LATER, Queue, RetryDead, SyncPage
from shared.redis import connect
from shared.store import applying, dead
from shared.store.database import Database
from shared.store.rows import DeadLetter
from worker.letters import Letters


class Desk(Struct):
    """Letters over fresh servers."""

    store: Database
    arq: ArqRedis
    letters: Letters

    async def keep(self, kept: bytes, *, source: str = "webhook", **told: str) -> None:
        given = {"reason": "refused", "error": "why", "object": "page", "page_id": "1"} | told
        letter = DeadLetter(source=source, bytes=kept, received_ms=1_700_000_000_000, **given)
        async with self.store.transaction() as connection:
            await applying.insert_dead_letters(connection, [letter])

    async def open(self) -> list[str]:
        return [letter.reason for letter in await dead.listing(self.store)]

    async def in_backlog(self) -> list[bytes]:
        async with self.store.connection() as connection:
            rows = await connection.fetch("select entry from webhook_inbox order by id")
        return [envelope.body for row in rows for envelope in unpack(row["entry"])[1]]

    async def in_queue(self) -> list[tuple[str, dict]]:
        ids = await self.arq.zrange(LATER, 0, -1)
        sent = [queue._sent.decode(await self.arq.get(b"arq:job:" + one)) for one in ids]
        return [(job.name, job.kwargs) for job in sent]


@pytest.fixture
async def desk(database: str, redis_url: str) -> AsyncIterator[Desk]:
    store = Database(database)
    pool = await open_pool(database, size=2, patience=5)
    arq = queue.connect(connect(redis_url).connection_pool)
    yield Desk(store, arq, Letters(store, Inbox(pool, patience=5), Queue(arq)))
    await arq.connection_pool.disconnect()
    await pool.close()
    await store.close()


async def test_only_what_was_asked_for_enters_the_backlog_as_it_came(desk: Desk) -> None:
    await desk.keep(b"one")
    await desk.keep(b"two", page_id="2")
    await desk.keep(b"three", reason="unreadable")
    assert await desk.letters.retry(RetryDead(reason="refused", page_ids=["1"])) == 1
    assert await desk.in_backlog() == [b"one"]
    assert sorted(await desk.open()) == ["refused", "unreadable"]
    assert await desk.letters.retry(RetryDead()) == 2
    assert await desk.open() == []


async def test_more_letters_than_fit_one_entry_all_go(desk: Desk) -> None:
    for number in range(250):
        await desk.keep(b"%d" % number)
    assert await desk.letters.retry(RetryDead()) == 250
    assert sorted(map(int, await desk.in_backlog())) == list(range(250))


async def test_a_job_nobody_could_do_is_queued_again(desk: Desk) -> None:
    job = SyncPage(page="1", full=True)
    told = {"source": "job", "reason": "gave_up", "object": "sync_page"}
    await desk.keep(queue.encode({"page": job.page, "full": job.full}), **told)
    assert await desk.letters.retry(RetryDead(reason="gave_up")) == 1
    assert await desk.in_queue() == [("sync_page", {"page": "1", "full": True})]
    assert (await desk.in_backlog(), await desk.open()) == ([], [])


@pytest.mark.parametrize(
    ("name", "sent"), [("set_aside", b"\x80"), ("no_such_job", b"\x80"), ("sync_page", b"junk")]
)
async def test_a_job_nobody_understands_stays_for_a_person(
    desk: Desk, name: str, sent: bytes
) -> None:
    await desk.keep(sent, source="job", reason="bad_job", object=name)
    await desk.keep(b"neighbour")
    assert await desk.letters.retry(RetryDead()) == 1
    assert (await desk.in_queue(), await desk.open()) == ([], ["bad_job"])
    assert await desk.in_backlog() == [b"neighbour"]
