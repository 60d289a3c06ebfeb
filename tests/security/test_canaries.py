"""Planted secrets, words and names are looked for wherever they must not be: after a whole run.

A stack of real processes logs at its most talkative, is fed through every door, is given bad
requests and bad jobs, and loses its Postgres connections in the middle, so that tracebacks come.
"""

import asyncio
import base64
import contextlib
import json
import pickle
import re
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis.asyncio
from aiohttp import web
from msgspec import Struct, field

from deploy.local import ports
from deploy.simulator.config import Config
from deploy.simulator.server import GraphServer
from deploy.simulator.simulator import Simulator
from shared import queue
from tests.stack import ROOT, Stack, running

WORDS = "canary-words-5d20"
NAME = "Canaria Vogelsang"
TOKEN = "EAACANARY0123456789abcdefghijklmnop"
APP_SECRET = "canaryappsecret0123456789abcdef"
VERIFY_TOKEN = "canary-verify-token-77"
PRESENTED = "pw_canary_key_that_nobody_made"
ENCRYPTION_KEY = base64.urlsafe_b64encode(b"canary-encryption-key-of-32-byte").decode()

# Redis holds content in two places, which are its purpose; their keys are looked at all the same.
CONTENT = re.compile(r'"(?:XADD|SET|set|xadd)" "pagewire:(?:backlog|cache:answer:[^"]*)"')


class Run(Struct):
    """A stack, the secrets and words planted in it, and what was seen of its stores."""

    stack: Stack
    sim: Simulator
    folder: Path
    planted: set[str]
    proofs: set[str]
    postgres_log: Path
    redis: list[str] = field(default_factory=list)
    statements: set[str] = field(default_factory=set)
    answers: list[str] = field(default_factory=list)
    asked_of_graph: list[str] = field(default_factory=list)
    numbers_port: int = 0

    @property
    def page(self) -> str:
        return next(iter(self.sim.truth.pages))

    def found_in(self, text: str) -> set[str]:
        return {canary for canary in self.planted | self.proofs if canary in text}

    async def ask(self, method: str, path: str, key: str = PRESENTED, **given: object) -> str:
        headers = {"Authorization": f"Bearer {key}"}
        async with self.stack.session.request(
            method, self.stack.url + path, headers=headers, **given
        ) as answer:
            text = await answer.text(errors="replace")
            if answer.status >= 400:
                self.answers.append(f"{dict(answer.headers)} {text}")
            return text

    async def command(self, *arguments: str, **more: str) -> None:
        """Run a command; what it says to people is looked at, its result is for them."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ingress.cli", *arguments),
            cwd=ROOT,
            env=self.stack.environment | more,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        self.answers.append(err.decode())
        if process.returncode:
            self.answers.append(out.decode())


@pytest.fixture
async def run(
    database: str,
    redis_url: str,
    tmp_path: Path,
    postgres_log: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Run]:
    asked, handle = [], GraphServer.handle

    async def noted(self: GraphServer, request: web.Request) -> web.StreamResponse:
        asked.append(str(request.rel_url))
        return await handle(self, request)

    monkeypatch.setattr(GraphServer, "handle", noted)
    simulated = Config(conversations=5, messages=8, instagram=2, app_secret=APP_SECRET)
    port = ports.any_free("127.0.0.1")
    async with Simulator(simulated) as sim:
        stack = Stack(
            database,
            redis_url,
            tmp_path,
            sim.url,
            LOG_LEVEL="debug",
            FACEBOOK_APP_ID=simulated.app_id,
            FACEBOOK_APP_SECRET=f"{APP_SECRET},an-older-{APP_SECRET}",
            WEBHOOK_VERIFY_TOKEN=VERIFY_TOKEN,
            TOKEN_ENCRYPTION_KEYS=ENCRYPTION_KEY,
            PYTHONDEVMODE="1",
        )
        stack.worker = stack.process("worker", "worker", METRICS_PORT=str(port))
        planted = {
            *(WORDS, NAME, TOKEN, APP_SECRET, VERIFY_TOKEN, PRESENTED, ENCRYPTION_KEY),
            *sim.tokens.of_page.values(),
        }
        proofs = {sim.tokens.proof(token) for token in sim.tokens.of_page.values()}
        for page in sim.truth.pages.values():
            for conversation in page.conversations():
                planted |= {conversation.person.name or NAME}
                planted |= {m.text for m in conversation.messages if m.text and len(m.text) > 20}
        seen = Run(
            stack=stack,
            sim=sim,
            folder=tmp_path,
            planted=planted,
            proofs=proofs,
            postgres_log=postgres_log,
            asked_of_graph=asked,
            numbers_port=port,
        )
        async with running(stack):
            watching = [
                asyncio.create_task(watch_redis(seen)),
                asyncio.create_task(watch_postgres(seen)),
            ]
            yield seen
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)


async def watch_redis(run: Run) -> None:
    """Note every command Redis is given: names of keys, jobs, announcements."""
    reader, writer = await asyncio.open_unix_connection(
        urlsplit(run.stack.redis).path, limit=1 << 26
    )
    writer.write(b"MONITOR\r\n")
    with contextlib.closing(writer):
        while line := await reader.readline():
            told = line.decode(errors="replace")
            content = CONTENT.search(told)
            run.redis.append(content.group() if content else told)


async def watch_postgres(run: Run) -> None:
    """Note every statement that others may see running."""
    connection = await asyncpg.connect(run.stack.postgres)
    try:
        while True:
            rows = await connection.fetch("select query, application_name from pg_stat_activity")
            run.statements |= {f"{row[0]} {row[1]}" for row in rows}
            await asyncio.sleep(0.005)
    finally:
        await connection.close()


def without(words: set[str], text: str) -> str:
    for word in words:
        text = text.replace(word, "")
    return text


def body(page: str, *items: object) -> bytes:
    entry = {"id": page, "time": 1_764_000_000_000, "messaging": list(items)}
    return json.dumps({"object": "page", "entry": [entry]}).encode()


def message(page: str, mid: str, text: str) -> dict[str, object]:
    return {
        "sender": {"id": "7392015648120394"},
        "recipient": {"id": page},
        "timestamp": 1_764_000_000_000,
        "message": {"mid": mid, "text": text},
    }


async def feed_webhooks(run: Run) -> None:
    stack, page = run.stack, run.page
    good = body(page, message(page, "m_1", WORDS))
    bodies = [
        good,
        body("999", message("999", "m_2", WORDS)),  # a Page nobody knows
        body(page, message(page, "m_3", f"poison {WORDS}")),  # refused by Postgres
        body(page, {"sender": {"id": {}}, "message": {"text": WORDS}}),
        good[:-30],
        b'{"object":"' + WORDS.encode() + b'","entry":[{"' + WORDS.encode() + b'":[',
        WORDS.encode() * 1000,
    ]
    for one in bodies:
        headers = {"X-Hub-Signature-256": signed(one)}
        assert await stack.post(one, **headers) == 200
        assert await stack.post(one, **{"X-Hub-Signature-256": "sha256=" + "0" * 64}) == 401
    for query in (
        f"hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}x&hub.challenge={WORDS}",
        f"hub.mode={WORDS}&hub.verify_token={VERIFY_TOKEN}&hub.challenge=1",
    ):
        await run.ask("GET", f"/api/webhook?{query}")
    form = {"signed_request": f"{WORDS}.{TOKEN}"}
    await run.ask("POST", "/api/webhook/data-deletion", data=form)


def signed(content: bytes) -> str:
    from tests.stack import sign

    return sign(content, APP_SECRET)


async def ask_the_api(run: Run) -> None:
    made = await run.stack.command("key", "create", "--scope", "admin")
    key = made["key"]
    run.planted.add(key)
    for presented in (PRESENTED, key):
        for method, path in (
            ("GET", f"/api/conversations?q={WORDS}"),
            ("GET", f"/api/conversations?pageId={TOKEN}"),
            ("GET", f"/api/conversations?cursor={TOKEN}"),
            ("GET", f"/api/conversations/{TOKEN}"),
            ("PUT", f"/api/conversations/{TOKEN}/tags/{WORDS}"),
            ("GET", f"/api/{TOKEN}?access_token={TOKEN}"),
            ("GET", f"/{WORDS}"),
        ):
            await run.ask(method, path, presented)
        for content in ({"name": [TOKEN]}, {"facebookPageId": "1", "accessToken": [TOKEN]}):
            await run.ask("POST", "/api/pages", presented, json=content)
        await run.ask("POST", "/api/pages", presented, data=f'{{"{WORDS}"')
    found = json.loads(await run.ask("GET", "/api/conversations", key))
    person = found["data"][0]["id"]
    await run.ask("GET", f"/api/conversations/{person}/messages", key)
    await run.ask("PUT", f"/api/conversations/{person}/tags/{WORDS}", key)
    await run.ask("POST", "/api/conversations/sync-all", key)


async def queue_bad_jobs(run: Run, where: str = queue.NOW) -> None:
    async with redis.asyncio.Redis.from_url(run.stack.redis) as client:
        jobs = [
            {"f": "sync_page", "a": [], "k": {"page": WORDS}, "t": None, "et": 1},
            {"f": f"no-{WORDS}", "a": [], "k": {"page": "1"}, "t": None, "et": 1},
            {"f": "erase", "a": [WORDS], "k": {"person": [TOKEN]}, "t": None, "et": 1},
        ]
        sent = [*(queue.encode(job) for job in jobs), pickle.dumps({"words": WORDS})]
        # What a test puts there itself is no finding.
        for number, job in enumerate(sent):
            await client.set(f"arq:job:bad-{number}", job, px=600_000)
            await client.zadd(where, {f"bad-{number}": int(time.time() * 1000)})
        async with asyncio.timeout(30):
            while await client.exists(*(f"arq:job:bad-{number}" for number in range(len(sent)))):
                await asyncio.sleep(0.05)


async def lose_postgres(run: Run) -> None:
    """Cut every connection, in the middle of whatever it does."""
    for _ in range(5):
        for number in range(10):
            text = f"{WORDS} {number}"
            content = body(run.page, message(run.page, f"m_x{number}", text))
            await run.stack.post(content, **{"X-Hub-Signature-256": signed(content)})
        await run.stack.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name like 'pagewire%' and pid <> pg_backend_pid()"
        )


async def use_commands(run: Run) -> None:
    await asyncio.gather(
        run.command("page", "show", TOKEN),
        run.command("page", "add", "1", "--name", "n", "--debug", PAGE_ACCESS_TOKEN=""),
        run.command(
            "page", "list", "--debug", DATABASE_URL=f"postgresql://u:{TOKEN}@127.0.0.1:1/x"
        ),
        run.command("doctor", REDIS_URL=f"redis://:{TOKEN}@127.0.0.1:1", FACEBOOK_APP_ID="x"),
        run.command("dead", "list"),
        run.command("config"),
        run.command("replay", "--since", "1h"),
    )


@pytest.mark.timeout(180)
async def test_nothing_that_is_secret_or_somebodys_words_is_where_it_must_not_be(run: Run) -> None:
    sim, stack = run.sim, run.stack
    await stack.rows("alter table messages add check (text not like 'poison%')")
    for page in sim.truth.pages.values():
        await stack.command(
            *("page", "add", page.id, "--name", "A Page", "--instagram", page.instagram_id or ""),
            PAGE_ACCESS_TOKEN=sim.tokens.of_page[page.id],
        )
        await stack.command("sync", page.id, "--full", "--wait")
    await feed_webhooks(run)
    await stack.until(stack.drained)
    await ask_the_api(run)
    await queue_bad_jobs(run)
    await lose_postgres(run)
    await use_commands(run)
    await stack.until(stack.drained)
    for page in sim.truth.pages.values():
        sim.tokens.kill(page, 460)
    await stack.command("sync", "--all")
    async with stack.session.get(stack.url + "/metrics") as answer:
        run.answers.append(await answer.text())
    async with stack.session.get(f"http://127.0.0.1:{run.numbers_port}/metrics") as answer:
        run.answers.append(await answer.text())
    assert "pagewire_ingest_items_total" in run.answers[-1]
    for process in (stack.ingress, stack.worker):
        process.stop()
    # Under arq's own command, which would print what every job was given.
    arq = stack.process("arq", "arq", "worker.main.WorkerSettings")
    arq.start()
    await queue_bad_jobs(run, queue.LATER)
    arq.stop()

    # The words are where they belong, and the eyes were open.
    assert await stack.rows("select 1 from messages where text like $1", f"%{WORDS}%") != []
    assert any("XADD" in line.upper() for line in run.redis)
    assert any("arq:job:" in line for line in run.redis)
    assert any("unnest" in statement for statement in run.statements)
    assert run.asked_of_graph != []

    logs = {path.name: path.read_text(errors="replace") for path in run.folder.glob("*.log")}
    assert logs.keys() == {"ingress.log", "worker.log", "arq.log"}
    assert "waits_for_postgres" in logs["worker.log"]
    assert "job_ended" in logs["arq.log"]
    assert "bad-0" in logs["arq.log"]
    seen = {
        **logs,
        "answers": "\n".join(run.answers),
        "redis": "\n".join(line for line in run.redis if '"arq:job:bad-' not in line),
        "postgres": "\n".join(run.statements),
        # Graph wants the proof in the address, and nothing else that is secret.
        "addresses asked of Graph": without(run.proofs, "\n".join(run.asked_of_graph)),
        "the database server's log": run.postgres_log.read_text(errors="replace"),
    }
    assert {where: run.found_in(text) for where, text in seen.items() if run.found_in(text)} == {}
