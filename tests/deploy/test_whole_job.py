"""Every kind of process under its own role and user, doing everything it is there for."""

import asyncio
import base64
import contextlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from deploy.local import ports
from deploy.simulator import Config, Simulator
from shared import config
from shared.queue import SyncStep
from tests.deploy.conftest import Roles
from tests.stack import SECRET, VERIFY_TOKEN, Process, Stack, sign
from worker import main as worker

APP_ID = "1517776481860111"


class Installation:
    """Four processes as deploy/ starts them, each with its own addresses, and people's hands."""

    def __init__(self, roles: Roles, folder: Path, graph: str, webhook_port: int) -> None:
        # People at the command line are operators.
        self.stack = Stack(
            roles.database("operator"), roles.redis("operator"), folder, graph, SYNC_INTERVAL="5m"
        )
        self.stack.port, self.stack.url = webhook_port, f"http://127.0.0.1:{webhook_port}"
        self.api = f"http://127.0.0.1:{(api_port := ports.any_free('127.0.0.1'))}"
        webhook = {"INGRESS_PORT": str(webhook_port), "INGRESS_LOG": "both"}
        start, urls = self.stack.process, roles.urls
        self.processes: list[Process] = [
            start("ingress", "ingress", "--only", "webhook", **webhook, **urls("ingress")),
            start("api", "ingress", "--only", "api", INGRESS_PORT=str(api_port), **urls("api")),
            start("ingest", "worker", "--only", "ingest", **urls("worker")),
            start("jobs", "worker", "--only", "jobs", **urls("worker")),
        ]
        self.http = aiohttp.ClientSession()

    async def ask(self, method: str, path: str, **given: Any) -> Any:
        async with self.http.request(method, self.api + path, **given) as answer:
            text = await answer.text()
            log = next(one.log for one in self.processes if one.name == "api")
            said = "\n".join(log.read_text().splitlines()[-3:])
            assert answer.status < 300, f"{method} {path}: {answer.status} {text}\n{said}"
            return json.loads(text) if text else None

    async def post(self, body: bytes) -> int:
        """Post a webhook as Facebook does; return the status."""
        url, headers = self.stack.url + "/api/webhook", {"X-Hub-Signature-256": sign(body)}
        async with self.http.post(url, data=body, headers=headers) as answer:
            return answer.status

    async def up(self) -> bool:
        async def ready(url: str) -> bool:
            with contextlib.suppress(aiohttp.ClientError):
                async with self.http.get(url + "/readyz") as answer:
                    return answer.status == 200
            return False

        return await ready(self.stack.url) and await ready(self.api)

    def said(self) -> list[str]:
        """Return what any of them logged that tells of a missing right."""
        words = ("permission", "privilege", "noperm", "no permissions", "acl", "failed", "error")
        return [
            f"{process.name}: {line}"
            for process in self.processes
            for line in process.log.read_text().splitlines()
            if any(word in line.lower() for word in words)
        ]


async def test_each_process_does_its_whole_job_with_its_own_rights(roles: Roles, tmp_path: Path):
    port = ports.any_free("127.0.0.1")
    facebook = Simulator(
        Config(
            pages=2, conversations=4, instagram=2, messages=30, app_id=APP_ID, app_secret=SECRET,
            verify_token=VERIFY_TOKEN, webhook_url=f"http://127.0.0.1:{port}/api/webhook",
        )
    )  # fmt: skip
    async with facebook:
        # There was an ingress once, an hour ago: a gap to be noted by the door, repaired by jobs.
        await _rows(
            roles.database("migrator"),
            "insert into ingress_boots (ingress, boot, seen_at)"
            " values ('old', '1', now() - interval '1 hour')",
        )
        here = Installation(roles, tmp_path, facebook.url, port)
        for process in here.processes:
            process.start()
        try:
            await here.stack.until(here.up)
            await _do_everything(here, facebook)
            assert here.said() == []
        finally:
            await here.http.close()
            for process in here.processes:
                process.stop()
        await _what_waits_for_its_time(roles, here.stack.environment)
    gaps = "select cause, repaired_at is not null from gaps"
    assert await _rows(roles.database("operator"), gaps) == [("no_ingress", True)]


async def _do_everything(here: Installation, facebook: Simulator) -> None:
    stack, (first, second) = here.stack, facebook.truth.pages
    tokens = facebook.tokens.of_page

    # The door: handshake, a webhook of a Page nobody knows yet, Facebook's callbacks.
    async with here.http.post(f"{facebook.url}/_simulator/webhooks/handshake") as answer:
        assert answer.status < 300, await answer.text()
    assert await here.post(_webhook(first, "m_before")) == 200

    await _ask_for_deletion(here)

    # A person: a key, two Pages (one at the command line, one through the API), syncs.
    key = (await stack.command("key", "create", "--scope", "admin"))["key"]
    here.http.headers["Authorization"] = f"Bearer {key}"
    await stack.command("page", "add", first, "--name", "First", PAGE_ACCESS_TOKEN=tokens[first])
    page = {"facebookPageId": second, "name": "Second", "accessToken": tokens[second]}
    await here.ask("POST", "/api/pages", json=page)
    for page_id in (first, second):
        answer = await here.ask("POST", "/api/conversations/sync", json={"facebookPageId": page_id})
        assert answer["success"]
    await here.ask("POST", "/api/conversations/sync-all?wait=0")

    async def synced() -> bool:
        runs = await stack.rows(
            "select bool_and(status = 'complete') from sync_runs where priority = 0"
        )
        return runs == [(True,)]

    await stack.until(synced)

    # What waited for its Page is there; what comes now comes too, and the feed tells of it.
    async def arrived(mid: str) -> bool:
        return await stack.rows("select 1 from messages where mid = $1", mid) == [(1,)]

    await stack.until(lambda: arrived("m_before"))
    async with here.http.get(here.api + "/api/live") as feed:
        assert await here.post(_webhook(first, "m_now")) == 200
        await stack.until(lambda: arrived("m_now"))
        async with asyncio.timeout(30):
            async for line in feed.content:
                if line.startswith(b"event: change"):
                    break

    # Readers.
    await here.ask("POST", "/api/session", json={"key": key})
    found = (await here.ask("GET", "/api/conversations"))["data"]
    one = f"/api/conversations/{found[0]['id']}"
    for _ in range(2):  # from Postgres, then from the cache
        await here.ask("GET", one)
    await here.ask("GET", f"{one}/messages")
    await here.ask("PUT", f"{one}/tags/vip")
    await here.ask("DELETE", f"{one}/tags/vip")
    await here.ask("PUT", f"{one}/seen")
    pages = (await here.ask("GET", "/api/pages"))["data"]
    assert all(page["budget"] for page in pages), "the API may not see the budget"

    async def known_to_ops() -> bool:
        ops = await here.ask("GET", "/api/ops")
        told = ops["strip"]["ackP50Ms"], ops["strip"]["durabilityLevel"]
        return len(ops["workers"]) == len(here.processes) and None not in told

    await stack.until(known_to_ops)

    # What nobody understood is set aside, and tried again.
    assert await here.post(b'{"object": "page", "entry": "never"}') == 200

    async def set_aside() -> bool:
        return bool(await stack.rows("select 1 from dead_letters where reason = 'unreadable'"))

    await stack.until(set_aside)
    await stack.command("dead", "retry", "--reason", "unreadable")

    async def tried_again() -> bool:
        return await stack.rows(
            "select max(tries) from dead_letters where reason = 'unreadable'"
        ) == [(2,)]

    await stack.until(tried_again)
    await stack.command("doctor")
    await stack.command("erase", "7001", "--page", first, "--yes")
    await stack.command("replay", "--since", "1h")
    assert await here.post(_webhook(first, "m_after")) == 200
    await stack.until(stack.drained)
    assert await stack.rows("select mid from messages where participant_id = '7001'") == []
    await here.ask("DELETE", f"/api/pages/{second}?purge=true")
    await stack.until(stack.drained)

    async def accounted() -> bool:
        told = await stack.rows("select acked from ingress_boots where acked <> '{}'")
        return len(told) == 1

    await stack.until(accounted)


async def _ask_for_deletion(here: Installation) -> None:
    """Ask as Facebook asks in a person's name, and look at the page that person is shown."""
    asked = {"algorithm": "HMAC-SHA256", "issued_at": int(time.time()), "user_id": "218471"}
    payload = base64.urlsafe_b64encode(json.dumps(asked).encode()).rstrip(b"=")
    mac = hmac.new(SECRET.encode(), payload, "sha256").digest()
    request = (base64.urlsafe_b64encode(mac).rstrip(b"=") + b"." + payload).decode()
    url = here.stack.url + "/api/webhook/data-deletion"
    async with here.http.post(url, data={"signed_request": request}) as answer:
        assert answer.status == 200, await answer.text()
        code = (await answer.json())["confirmation_code"]

    async def shown() -> bool:
        async with here.http.get(f"{url}/{code}") as page:
            return page.status == 200 and "A person is looking" in await page.text()

    await here.stack.until(shown)


async def _what_waits_for_its_time(roles: Roles, environment: dict[str, str]) -> None:
    """Run every cron, and the syncs they begin, now and here, with a worker's rights."""
    environ = environment | roles.urls("worker")
    async with worker.build(config.load(environ, wants=worker.WANTS)) as parts:
        for work in parts.jobs._crons.values():
            async with asyncio.timeout(30):
                await work()
        waiting = "select id::text from sync_runs where status <> 'complete' and mode <> 'all'"
        begun = await _rows(roles.database("operator"), waiting)
        for (run_id,) in begun:
            await parts.jobs._works[SyncStep](SyncStep(run_id=run_id))
        assert {"history", "labels"} <= set(await _modes(roles)), begun


async def _modes(roles: Roles) -> list[str]:
    done = "select mode from sync_runs where status = 'complete' and error is null"
    return [mode for (mode,) in await _rows(roles.database("operator"), done)]


async def _rows(dsn: str, sql: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


def _webhook(page_id: str, mid: str) -> bytes:
    item = {
        "sender": {"id": "7001"},
        "recipient": {"id": page_id},
        "timestamp": 1_764_000_000_000,
        "message": {"mid": mid, "text": "hello"},
    }
    entry = {"id": page_id, "time": 1_764_000_000_000, "messaging": [item]}
    return json.dumps({"object": "page", "entry": [entry]}).encode()
