"""The writer's plans, which are made on empty tables and kept, look rows up by the right index."""

import re
from collections.abc import AsyncIterator

import pytest

from shared.store import queries
from shared.store.database import Database

HOT = {
    "look": {"messages_pkey", "conversations_id_key", "identity"},
    "write": set(),
    "upsert_reactions": {"reactions_pkey"},
    "recount_conversations": {"messages_thread", "messages_read", "conversations_id_key"},
    "insert_events": {"events_pkey"},
    "forget_raw_events": {"_mid_idx"},
}


@pytest.fixture
async def store(database: str) -> AsyncIterator[Database]:
    opened = Database(database, writer=True)
    yield opened
    await opened.close()


@pytest.mark.parametrize(("name", "indexes"), HOT.items())
async def test_a_plan_made_on_empty_tables_looks_rows_up_by_their_key(
    store: Database, name: str, indexes: set[str]
) -> None:
    sql = queries.load("queries.sql")[name]
    nulls = ", ".join(["null"] * max(int(n) for n in re.findall(r"\$(\d+)", sql)))
    async with store.connection() as connection:
        await connection.execute(f"prepare hot as {sql}")
        rows = await connection.fetch(f"explain execute hot({nulls})")
        await connection.execute("deallocate hot")
    plan = "\n".join(row[0] for row in rows)
    scans = [line for line in plan.splitlines() if "Index Scan" in line or "Index Only" in line]
    assert "Seq Scan" not in plan, plan
    found = {index for index in indexes if any(index in line for line in scans)}
    assert found == indexes, plan
    if "messages_pkey" in indexes:
        assert "(page_id = " in plan
        assert "(mid = " in plan
