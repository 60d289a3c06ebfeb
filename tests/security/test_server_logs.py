"""What people wrote is not in the database server's own log, whatever goes wrong there."""

from pathlib import Path

import asyncpg

from deploy.local.servers import POSTGRES_SAYS_LITTLE

WORDS = "canary-server-log-41"
COMPOSE = Path(__file__).parents[2] / "deploy/compose.yaml"


async def test_a_row_that_postgres_refuses_is_not_quoted_in_its_log(
    database: str, postgres_log: Path
):
    connection = await asyncpg.connect(database)
    failures = {
        "a statement": f"insert into messages (page_id, mid, text) values ('1', 'm', '{WORDS}')",
        "a check": "insert into tags values ('1', $1, 'k', 'n', 1)",
        "a key": "insert into facebook_pages (facebook_page_id, name) values ($1, 'n'), ($1, 'n')",
        "bytes": f"select convert_from(decode('{WORDS.encode().hex()}ff', 'hex'), 'UTF8')",
    }
    for sql in failures.values():
        try:
            await connection.execute(sql, *([WORDS] if "$1" in sql else []))
        except asyncpg.PostgresError:
            continue
        raise AssertionError(sql)
    # What takes long is logged where somebody asks for it: then without what it was given.
    await connection.execute("set log_min_duration_statement = 0")
    assert await connection.fetchval("select $1::text", WORDS) == WORDS
    await connection.close()
    log = postgres_log.read_text()
    assert "select $1::text" in log
    assert "violates" in log
    assert WORDS not in log
    assert WORDS.encode().hex() not in log


def test_compose_starts_postgres_as_we_start_ours():
    service = COMPOSE.read_text().partition("  postgres:\n")[2].partition("\n  redis:\n")[0]
    for name, value in POSTGRES_SAYS_LITTLE.items():
        assert f"- --{name}={value}\n" in service
