"""Both pages in a real Chromium, over a whole Pagewire of its own and a simulated Facebook.

All tests share one world; each looks only at what it made itself. World and browser live as long
as the session, so the tests that use them run in the session's event loop.
"""

import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Route, async_playwright

from deploy.local import ports, servers
from deploy.simulator import Config, Simulator
from deploy.simulator.truth import Conversation
from tests.stack import ROOT, RUNNING, SECRET, VERIFY_TOKEN, Stack, running

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
PICTURE = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 3"><rect width="4" height="3"'
    b' fill="#9db4d8"/><path d="M0 3l1-2 1 1 1-1 1 2z" fill="#4d6a99"/></svg>'
)

DESK = {"width": 1400, "height": 900}
PHONE = {"width": 390, "height": 800}

Visit: TypeAlias = Callable[..., Awaitable[Page]]


@dataclass
class World:
    """A Pagewire, the Facebook it is connected to, and keys to it."""

    stack: Stack
    facebook: Simulator
    keys: dict[str, str]

    @property
    def pages(self) -> list[str]:
        return list(self.facebook.truth.pages)

    def name(self, page: str) -> str:
        return self.facebook.truth.pages[page].name

    @asynccontextmanager
    async def without_ingress(self) -> AsyncIterator[None]:
        """Stop the ingress as a deploy does, and start it again afterwards."""
        await asyncio.to_thread(self.stack.ingress.stop)
        try:
            yield
        finally:
            self.stack.ingress.start()
            self.keep()
            await self.stack.until(self.stack.answers)

    async def is_at_rest(self) -> bool:
        """Whether no sync runs or waits, and all webhooks are applied."""
        open_runs = "select 1 from sync_runs where status in ('queued', 'running')"
        return not await self.stack.rows(open_runs) and await self.stack.drained()

    def keep(self) -> None:
        """Let the processes outlive the test that started them."""
        RUNNING.difference_update({self.stack.ingress, self.stack.worker})

    async def say(self, to: Conversation, message: dict[str, object]) -> str:
        """Let a person send a message of any form; return its mid."""
        mid, now = f"m_{uuid4().hex}", time.time_ns() // 1_000_000
        item = {
            "sender": {"id": to.person.id},
            "recipient": {"id": to.page.id},
            "timestamp": now,
            "message": {"mid": mid, **message},
        }
        entry = {"id": to.page.id, "time": now, "messaging": [item]}
        body = json.dumps({"object": "page", "entry": [entry]}).encode()
        assert await self.stack.post(body) == 200
        return mid

    async def of_row(self, conversation_id: str) -> Conversation:
        """Return the conversation that a row of the list shows."""
        [(page_id, person)] = await self.stack.rows(
            "select page_id, participant_id from conversations where id = $1::text::uuid",
            conversation_id,
        )
        return next(
            one
            for page in self.facebook.truth.pages.values()
            for one in page.conversations()
            if one.person.id == person and page_id in {page.id, page.instagram_id}
        )


@pytest.fixture(scope="session")
def servers_of_its_own() -> Iterator[tuple[str, str]]:
    """A PostgreSQL and a Valkey that no other test empties."""
    with tempfile.TemporaryDirectory(prefix="pagewire-browser-") as name:
        home = Path(name)
        home.chmod(0o755)  # PostgreSQL may run as another account
        with (
            servers.postgres(home, durable=False) as dsn,
            servers.redis(home, durable=False) as url,
        ):
            yield dsn, url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(
    chromium: Browser, servers_of_its_own: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """Three Pages with Instagram accounts, synced in full."""
    port = ports.any_free("127.0.0.1")
    stack = Stack(
        *servers_of_its_own,
        tmp_path_factory.mktemp("logs"),
        graph=ports.url("127.0.0.1", port),
        SYNC_SLICE="10",  # so that a sync takes several calls
    )
    config = Config(
        port=port,
        pages=3,
        conversations=70,
        instagram=8,
        messages=12,
        app_id=stack.environment["FACEBOOK_APP_ID"],
        app_secret=SECRET,
        verify_token=VERIFY_TOKEN,
        webhook_url=stack.url + "/api/webhook",
    )
    async with Simulator(config) as facebook, running(stack):
        keys = {
            scope: (await stack.command("key", "create", "--scope", scope))["key"]
            for scope in ("admin", "read")
        }
        world = World(stack, facebook, keys)
        world.keep()
        for page in facebook.truth.pages.values():
            await stack.command(
                *("page", "add", page.id, "--name", page.name),
                PAGE_ACCESS_TOKEN=facebook.tokens.of_page[page.id],
            )
        await stack.command("sync", "--all", "--full", "--wait")
        yield world


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """Debian's Chromium, or the machine's own Chrome."""
    names = ("chromium", "google-chrome")
    program = next((found for name in names if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(chromium: Browser, world: World) -> AsyncIterator[Visit]:
    """Open a page as someone who is signed in; at the end no error may stand in its console."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    async def open_(path: str, *, scope: str | None = "admin", **look: object) -> Page:
        context = await chromium.new_context(
            **{"viewport": DESK, "locale": "en-GB", "base_url": world.stack.url} | look
        )
        contexts.append(context)
        await context.route(lambda url: not url.startswith(world.stack.url), _elsewhere)
        if scope:
            await context.request.post(
                "/api/session", data={"key": world.keys[scope]}, headers={"Origin": world.stack.url}
            )
        page = await context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda told: told.type == "error" and complaints.append(told.text))
        await page.goto(path)
        return page

    yield open_
    for context in contexts:
        await context.close()
    # Chromium also notes each answer that is an error there; pages must cope with those.
    assert [told for told in complaints if not told.startswith("Failed to load resource")] == []


async def _elsewhere(route: Route) -> None:
    """Nothing leaves this machine: pictures come from here, all else is refused."""
    if route.request.resource_type == "image":
        await route.fulfill(body=PICTURE, content_type="image/svg+xml")
    else:
        await route.abort()


T = TypeVar("T")


async def until(
    look: Callable[[], Awaitable[T]], fits: Callable[[T], bool], *, seconds: float = 10
) -> T:
    """Wait until what one sees fits, and return it."""
    async with asyncio.timeout(seconds):
        while not fits(seen := await look()):
            await asyncio.sleep(0.02)
    return seen


@pytest.fixture(scope="session")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `deploy/vendor` with its packages, each checked against the lock."""
    if shutil.which("npm") is None:
        pytest.skip("there is no Node with npm here")
    nothing_installed = shutil.ignore_patterns("node_modules")
    copy = tmp_path_factory.mktemp("node") / "vendor"
    shutil.copytree(ROOT / "deploy" / "vendor", copy, ignore=nothing_installed)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0"]
    done = subprocess.run(command, cwd=copy, check=False, capture_output=True, text=True)
    assert "EINTEGRITY" not in done.stderr
    if done.returncode:
        pytest.skip(f"cannot install the packages: {done.stderr.strip()[-300:]}")
    return copy
