"""How long a message takes into the receiver's table is measured from its sending."""

import asyncio

import asyncpg

from deploy.simulator.visible import Visible


async def test_a_message_is_visible_once_its_row_is_committed(database: str) -> None:
    visible = Visible(database)
    looking = asyncio.create_task(visible.run())
    connection = await asyncpg.connect(database)
    insert = (
        "insert into messages (page_id, mid, platform, source, source_rank, sent_ms)"
        " values ('1', $1, 'messenger', 'message', 60, 1)"
    )
    visible.sent("1", "m_1")
    visible.sent("1", "m_2")
    async with connection.transaction():
        await connection.execute(insert, "m_1")
        assert not visible.milliseconds
    async with asyncio.timeout(10):
        while not visible.milliseconds:
            await asyncio.sleep(0.001)
    visible.sent("1", "m_1")
    await connection.execute(insert, "m_2")
    async with asyncio.timeout(10):
        while len(visible.milliseconds) < 2:
            await asyncio.sleep(0.001)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await connection.close()
    assert '"messages": 2, "lost": 0' in visible.report()
