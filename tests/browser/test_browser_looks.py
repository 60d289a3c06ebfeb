"""How the pages look, and that everybody can use them; screenshots are left in `screenshots/`."""

from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from deploy.simulator.truth import Conversation
from tests.browser.conftest import DESK, PHONE, Visit, World
from tests.browser.test_browser_inbox import conversation, happen, open_inbox, open_thread

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCREENSHOTS = Path(__file__).parent / "screenshots"
# https://github.com/dequelabs/axe-core/blob/develop/doc/API.md#axe-core-tags
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

looks = pytest.mark.parametrize(
    ("scheme", "size"),
    [("light", DESK), ("dark", DESK), ("light", PHONE)],
    ids=["light", "dark", "phone"],
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lively(world: World) -> Conversation:
    """A conversation in which a bit of everything has just happened."""
    of = conversation(world, 20)
    asked = await world.say(of, {"text": "Hi! Do you still have the blue mug? ☕"})
    photo = {"type": "image", "payload": {"url": "https://scontent.xx.fbcdn.net/v/mug.jpg"}}
    await world.say(of, {"attachments": [photo], "reply_to": {"mid": asked}})
    happen(world, of, "echo", text="Two are left. Shall we keep one for you?")
    happen(world, of, text="Yes please, I will come by")
    happen(world, of, "edit", text="Yes please, I will come by at ten")
    happen(world, of, "react")
    happen(world, of, "echo", text="See you then!")
    happen(world, of, "read")
    return of


@looks
async def test_the_inbox_can_be_used_by_everybody(
    visit: Visit, lively: Conversation, vendor: Path, scheme: str, size: dict[str, int]
):
    page = await open_inbox(visit, color_scheme=scheme, viewport=size, reduced_motion="reduce")
    await examine(page, vendor, f"inbox-list-{scheme}-{size['width']}")
    await open_thread(page, lively)
    await expect(page.locator(".picture img").last).to_be_visible()
    await examine(page, vendor, f"inbox-{scheme}-{size['width']}")


@looks
async def test_the_ops_page_can_be_used_by_everybody(
    visit: Visit, world: World, vendor: Path, scheme: str, size: dict[str, int]
):
    page = await visit("/ops", color_scheme=scheme, viewport=size, reduced_motion="reduce")
    await expect(page.locator("#pages tbody tr")).to_have_count(len(world.pages))
    await expect(page.locator("#processes tbody tr")).not_to_have_count(0)
    await examine(page, vendor, f"ops-{scheme}-{size['width']}")


@looks
async def test_the_sign_in_can_be_used_by_everybody(
    visit: Visit, vendor: Path, scheme: str, size: dict[str, int]
):
    page = await visit("/sign-in", scope=None, color_scheme=scheme, viewport=size)
    await examine(page, vendor, f"sign-in-{scheme}-{size['width']}")


async def examine(page: Page, vendor: Path, name: str) -> None:
    """Keep a screenshot, and find no violation of the rules of accessibility."""
    SCREENSHOTS.mkdir(exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    await page.evaluate((vendor / "node_modules/axe-core/axe.min.js").read_text())
    found = await page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)
    violations = [
        (violation["id"], [node["html"] for node in violation["nodes"]])
        for violation in found["violations"]
    ]
    assert violations == []
