"""All inside the request: look the Page up, upsert the conversation, insert the message."""

from collections.abc import AsyncIterator

import asyncpg
from aiohttp import web

from tests.bench.peers.common import PORT, POSTGRES, Row, is_signed, rows

POOL: web.AppKey[asyncpg.Pool] = web.AppKey("pool")


async def receive(request: web.Request) -> web.Response:
    body = await request.read()
    if not is_signed(body, request.headers.get("X-Hub-Signature-256", "")):
        return web.Response(status=403)
    async with request.app[POOL].acquire() as connection:
        for row in rows(body):
            await _store(connection, row)
    return web.Response()


async def _store(connection: asyncpg.Connection, row: Row) -> None:
    async with connection.transaction():
        if not await connection.fetchval("select 1 from pages where page_id = $1", row.page_id):
            return
        await connection.execute(
            "insert into conversations as c (page_id, participant_id, last_sent_ms, last_mid)"
            " values ($1, $2, $3, $4) on conflict (page_id, participant_id) do update"
            " set last_sent_ms = excluded.last_sent_ms, last_mid = excluded.last_mid"
            " where c.last_sent_ms < excluded.last_sent_ms",
            row.page_id,
            row.participant_id,
            row.sent_ms,
            row.mid,
        )
        await connection.execute(
            "insert into messages (page_id, mid, participant_id, direction, sent_ms, text,"
            " attachments) values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
            *row,
        )


async def pool(app: web.Application) -> AsyncIterator[None]:
    async with asyncpg.create_pool(POSTGRES, min_size=10, max_size=10) as app[POOL]:
        yield


def main() -> None:
    app = web.Application()
    app.cleanup_ctx.append(pool)
    app.router.add_post("/api/webhook", receive)
    web.run_app(app, host="127.0.0.1", port=PORT, access_log=None, print=None)


if __name__ == "__main__":
    main()
