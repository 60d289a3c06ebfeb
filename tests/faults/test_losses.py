"""When Redis is wiped, the number of envelopes reported lost is that of the envelopes lost."""

import asyncio
import json
import time

import pytest

from tests.faults.check import reported_lost
from tests.faults.cluster import Cluster, cluster, until
from tests.faults.length import only_long
from tests.faults.report import Report

PAGE, AT = "102938475610293", 1_764_000_000_000
APPLIED, LOST = 12, 23

pytestmark = [only_long, pytest.mark.timeout(400)]


def body(number: int) -> bytes:
    item = {
        "sender": {"id": "7392015648120394"},
        "recipient": {"id": PAGE},
        "timestamp": AT + number,
        "message": {"mid": f"m_{number}", "text": "hello"},
    }
    entry = {"id": PAGE, "time": AT, "messaging": [item]}
    return json.dumps({"object": "page", "entry": [entry]}).encode()


async def send(made: Cluster, numbers: range) -> None:
    answers = await asyncio.gather(*(made.stack.post(body(number)) for number in numbers))
    assert set(answers) == {200}


async def test_what_a_dead_ingress_had_taken_and_nobody_applied_is_told_to_the_last_envelope(
    report: Report,
) -> None:
    async with cluster() as made:
        await made.command("page", "add", PAGE, "--name", "Acme")
        await send(made, range(APPLIED))
        await until(made.drained, 30, "the first are applied")
        for process in (made.worker, made.other):
            process.kill()
        before = time.time()
        await send(made, range(APPLIED, APPLIED + LOST))
        made.ingress.kill()
        await made.redis.end()
        made.wipe_redis()
        await made.redis.start()
        made.ingress.start()
        worker = made.stack.process("syncing", "worker", SYNC_INTERVAL="24h")
        worker.start()
        try:
            await _is_reported_and_repaired(made, before)
        finally:
            await made.stop(worker)
        report.figures["ingress dead and Redis wiped: envelopes lost / reported"] = (
            f"{LOST} / {LOST}"
        )


async def _is_reported_and_repaired(made: Cluster, before: float) -> None:
    async def told() -> bool:
        return await reported_lost(made) > 0

    async def repairs() -> bool:
        return bool(
            await made.sql(
                "select 1 from sync_runs where mode = 'repair' and page_id = $1"
                " and since < to_timestamp($2)",
                PAGE,
                before,
            )
        )

    await until(told, 120, "the loss is reported")
    assert await reported_lost(made) == LOST
    assert await made.sql("select count(*) from messages") == [(APPLIED,)]
    assert await made.sql("select lost from gaps where cause = 'envelopes_lost'") == [(LOST,)]
    await until(repairs, 120, "the Page is read again")
