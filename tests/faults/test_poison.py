"""An item that kills whoever touches it costs its neighbours some seconds, and itself nothing."""

import asyncio
import json

from tests.faults.cluster import Cluster, cluster, until

PAGE, AT = "102938475610293", 1_764_000_000_000
POISON = "m_00007"


def body(numbers: range) -> bytes:
    items = [
        {
            "sender": {"id": str(number % 5)},
            "recipient": {"id": PAGE},
            "timestamp": AT + number,
            "message": {"mid": f"m_{number:05}", "text": f"text {number}"},
        }
        for number in numbers
    ]
    return json.dumps(
        {"object": "page", "entry": [{"id": PAGE, "time": AT, "messaging": items}]}
    ).encode()


async def test_an_item_that_kills_its_process_three_times_is_set_aside() -> None:
    async with cluster() as made:
        for process in (made.worker, made.other):
            await made.stop(process)
        await made.command("page", "add", PAGE, "--name", "Acme")
        assert await made.stack.post(body(range(20))) == 200
        deaths = await _work_until_drained(made)
        assert deaths == 3
        assert await made.sql("select mid from messages order by 1") == [
            (f"m_{number:05}",) for number in range(20) if number != 7
        ]
        ((reason, kept),) = await made.sql("select reason, bytes from dead_letters")
        assert reason == "poison"
        # Its bytes are a webhook of this item alone, as Facebook might have sent it.
        (entry,) = json.loads(kept)["entry"]
        assert [item["message"]["mid"] for item in entry["messaging"]] == [POISON]
        await _bring_back(made)


async def _work_until_drained(made: Cluster) -> int:
    """Start a worker that dies of the poison, again and again; return how often it died."""
    worker = made.stack.process(
        "mortal", "tests.faults.failpoint", "worker", "--only", "ingest", POISON=POISON
    )
    deaths = 0
    worker.start()
    try:
        async with asyncio.timeout(60):
            while not await made.drained():
                if not worker.running:
                    deaths += 1
                    worker.start()
                await asyncio.sleep(0.02)
        assert worker.running
    finally:
        await made.stop(worker)
    return deaths


async def _bring_back(made: Cluster) -> None:
    """With what was wrong mended, the letter is retried and the item is there."""
    made.worker.start()
    await made.command("dead", "retry", "--reason", "poison")

    async def there() -> bool:
        return await made.sql("select 1 from messages where mid = $1", POISON) != []

    await until(there, 30, "the item is applied")
    assert await made.sql("select 1 from dead_letters where resolved_at is null") == []
