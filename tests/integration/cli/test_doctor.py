"""`pagewire doctor`: well when all is well, and every trouble is one line with what to do."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from deploy.simulator import Config, Simulator
from shared.facebook.graph.requests import WANTED_FIELDS
from shared.store.database import Database
from tests.integration.cli.called import Command, Ended

VERIFY_TOKEN = "doctor-verify-token"


@pytest.fixture
async def ingress(unused_tcp_port: int) -> AsyncIterator[str]:
    """The address of something that agrees to webhooks as the ingress does."""

    async def agree(request: web.Request) -> web.Response:
        if request.query["hub.verify_token"] != VERIFY_TOKEN:
            return web.Response(status=403)
        return web.Response(text=request.query["hub.challenge"])

    app = web.Application()
    app.router.add_get("/api/webhook", agree)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    yield f"http://127.0.0.1:{unused_tcp_port}/api/webhook"
    await runner.cleanup()


Build = Callable[..., Awaitable[Simulator]]


@pytest.fixture
async def build(
    run: Command, monkeypatch: pytest.MonkeyPatch, ingress: str, configured: None
) -> AsyncIterator[Build]:
    """Build a deployment in which all is well, on a simulated Facebook with two Pages."""
    built: list[Simulator] = []

    async def build(**config: object) -> Simulator:
        given = {"pages": 2, "conversations": 1, "messages": 1, "webhook_url": ingress} | config
        sim = await Simulator(Config(**given)).__aenter__()
        built.append(sim)
        for name, value in {
            "GRAPH_API_URL": sim.url,
            "FACEBOOK_APP_ID": sim.config.app_id,
            "FACEBOOK_APP_SECRET": sim.config.app_secret,
            "WEBHOOK_VERIFY_TOKEN": VERIFY_TOKEN,
            # The tests' Redis writes nothing to disk; with a copy in Postgres that is well.
            "INGRESS_LOG": "both",
        }.items():
            monkeypatch.setenv(name, value)
        await run("page", "import", "--user-token-file", "-", stdin=sim.tokens.user)
        for page in sim.truth.pages.values():
            page.subscribed_fields = frozenset(WANTED_FIELDS)
        return sim

    yield build
    for sim in built:
        await sim.__aexit__(None, None, None)


def wrong(ended: Ended) -> dict[str, str]:
    """What is not well, by subject."""
    return {one["subject"]: one["text"] for one in ended.json if not one["ok"]}


async def test_where_all_is_well_it_says_so(build: Build, run: Command) -> None:
    await build()
    ended = await run("doctor", "--json")
    assert (wrong(ended), ended.status) == ({}, 0)
    assert {one["subject"] for one in ended.json} > {
        *("Settings", "Postgres", "Connections", "Migrations", "Redis", "Durability"),
        *("Backlog", "Inbox", "Facebook", "Webhook", "Clock"),
    }
    shown = await run("doctor")
    assert all(line.startswith("✔ ") for line in shown.out.splitlines())


async def only_trouble(run: Command, subject: str, text: str) -> None:
    ended = await run("doctor", "--json")
    told = wrong(ended)
    assert (list(told), ended.status) == ([subject], 3), told
    assert text in told[subject]
    assert all(one["fix"] for one in ended.json if not one["ok"])


async def test_a_dead_token_is_a_trouble_of_its_page_alone(build: Build, run: Command) -> None:
    sim = await build()
    page, _ = sim.truth.pages.values()
    sim.tokens.kill(page, 463)
    await only_trouble(run, f"Page {page.name}", "not valid any more")


async def test_missing_webhook_fields_are_named(build: Build, run: Command) -> None:
    sim = await build()
    page, _ = sim.truth.pages.values()
    page.subscribed_fields = frozenset(WANTED_FIELDS) - {"message_edits"}
    await only_trouble(run, f"Page {page.name}", "no webhooks of message_edits")


async def test_a_parked_page_shows_its_reason(build: Build, run: Command, store: Database) -> None:
    sim = await build()
    page, _ = sim.truth.pages.values()
    async with store.connection() as connection:
        await connection.execute(
            "update facebook_pages set status = 'parked', status_reason = $2"
            " where facebook_page_id = $1",
            page.id,
            "The password was changed.",
        )
    await only_trouble(run, f"Page {page.name}", "The password was changed.")


async def test_a_page_that_fell_silent_is_noticed(
    build: Build, run: Command, store: Database
) -> None:
    sim = await build()
    page, other = sim.truth.pages.values()
    now_ms, hour_ms = int(time.time() * 1000), 3_600_000
    async with store.connection() as connection:
        for page_id, last_ms in ((page.id, now_ms - 5 * hour_ms), (other.id, now_ms - hour_ms)):
            await connection.executemany(
                "insert into conversations (page_id, participant_id, id, platform, last_sent_ms)"
                " values ($1, $2, gen_random_uuid(), 'messenger', $3)",
                [(page_id, str(n), last_ms - n * hour_ms) for n in range(60)],
            )
    await only_trouble(run, f"Page {page.name}", "silent for 5 h, never for more than 60 min")


async def test_another_app_that_answers_people_is_named(
    build: Build, run: Command, store: Database
) -> None:
    sim = await build()
    page, other = sim.truth.pages.values()
    page.thread_owner, other.thread_owner = "263902037430900", sim.config.app_id
    async with store.connection() as connection:
        await connection.executemany(
            "insert into conversations (page_id, participant_id, id, platform, last_sent_ms)"
            " values ($1, '7001', gen_random_uuid(), 'messenger', $2)",
            [(page_id, time.time_ns() // 1_000_000) for page_id in (page.id, other.id)],
        )
    ended = await run("doctor", "--json")
    told = {one["subject"]: one["text"] for one in ended.json}
    assert (wrong(ended), ended.status) == ({}, 0)
    assert "the app 263902037430900 answers people" in told[f"Page {page.name}"]
    assert "answers people" not in told[f"Page {other.name}"]


async def test_another_verify_token_at_the_ingress_is_noticed(
    build: Build, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    await build()
    monkeypatch.setenv("WEBHOOK_VERIFY_TOKEN", "another")
    await only_trouble(run, "Webhook", "does not agree: HTTP 403")


async def test_an_address_that_leads_nowhere_is_noticed(build: Build, run: Command) -> None:
    await build(webhook_url="http://127.0.0.1:1/api/webhook")
    await only_trouble(run, "Webhook", "does not answer")


async def test_an_app_without_a_webhook_address_is_noticed(build: Build, run: Command) -> None:
    await build(webhook_url="")
    await only_trouble(run, "Webhook", "nowhere")


async def test_a_wrong_app_secret_is_told_apart_from_bad_pages(
    build: Build, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    await build()
    monkeypatch.setenv("FACEBOOK_APP_SECRET", "wrong")
    ended = await run("doctor", "--json")
    assert "Facebook" in wrong(ended)


async def test_a_clock_that_runs_away_is_noticed(build: Build, run: Command) -> None:
    await build(clock_skew=60)
    await only_trouble(run, "Clock", "s ahead")


async def test_redis_that_may_lose_entries_is_noticed(
    build: Build, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    await build()
    monkeypatch.setenv("INGRESS_LOG", "redis")
    await only_trouble(run, "Durability", "appendonly is off")


async def test_every_server_of_the_backlog_is_looked_at(
    build: Build, run: Command, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await build()
    another = f"{redis_url.partition('?')[0]}?db=1"
    monkeypatch.setenv("BACKLOG_REDIS_URLS", f"{redis_url} {another}")
    assert {one["subject"] for one in (await run("doctor", "--json")).json} > {
        *("Redis", "Durability", "Backlog", "Redis 2", "Durability 2", "Backlog 2")
    }
    monkeypatch.setenv("BACKLOG_REDIS_URLS", "redis://127.0.0.1:1")
    ended = await run("doctor", "--json")
    assert list(wrong(ended)) == ["Redis 2"]
    assert "BACKLOG_REDIS_URLS" in next(one["fix"] for one in ended.json if not one["ok"])
    assert "Durability" not in {one["subject"] for one in ended.json}


async def test_stores_that_are_away_cost_only_their_own_lines(
    build: Build, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    await build()
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    await only_trouble(run, "Redis", "does not answer")
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/x")
    assert set(wrong(await run("doctor", "--json"))) == {"Redis", "Postgres"}


async def test_a_database_that_is_not_migrated_is_noticed(
    build: Build, run: Command, monkeypatch: pytest.MonkeyPatch, empty_database: str
) -> None:
    await build()
    monkeypatch.setenv("DATABASE_URL", empty_database)
    await only_trouble(run, "Migrations", "missing")


async def test_what_is_not_set_or_wrong_is_named(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = wrong(await run("doctor", "--json"))
    assert "FACEBOOK_APP_SECRET" in told["Settings"]
    monkeypatch.setenv("SYNC_SLICE", "many")
    ended = await run("doctor")
    assert ended.status == 3
    assert ended.out.startswith("✘ Settings: SYNC_SLICE must be a whole number")
