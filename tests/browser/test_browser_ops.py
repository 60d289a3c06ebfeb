"""What people see and do on the ops page."""

import json

import pytest
from playwright.async_api import Locator, Page, expect

from deploy.simulator import truth
from tests.browser.conftest import Visit, World, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def open_ops(visit: Visit, **look: object) -> Page:
    page = await visit("/ops", **look)
    await expect(page.locator(".line")).to_have_text("Live")
    return page


def row_of(page: Page, facebook_page_id: str) -> Locator:
    return page.locator(f"[data-page='{facebook_page_id}']")


async def test_the_strip_tells_whether_everything_keeps_up(visit: Visit, world: World):
    page = await open_ops(visit)
    workers = page.locator(".tile").filter(has_text="Workers")
    await expect(workers.locator(".value")).to_have_text("1")
    await expect(page.locator(".tile").filter(has_text="Backlog")).to_contain_text("keeping up")
    # A process that has just been started again is heard of with its next beat.
    await expect(page.locator("#processes tbody tr")).to_have_count(2, timeout=30_000)
    await expect(page.locator("#cron tbody tr")).not_to_have_count(0)
    await expect(page.locator(".chart canvas")).to_have_count(2)


async def test_what_comes_in_is_shown_as_it_comes_in_without_what_was_written(
    visit: Visit, world: World
):
    page = await open_ops(visit)
    await expect(page.locator("#feed")).to_contain_text("Nothing came in")
    world.facebook.happen(world.pages[0], text="A secret between us")
    first = page.locator("#feed tbody tr").first
    await expect(first).to_contain_text("message")
    await expect(first).to_contain_text(world.name(world.pages[0]))
    assert await page.get_by_text("A secret between us").count() == 0


async def test_the_feed_rests_while_somebody_reads_it(visit: Visit, world: World):
    await world.stack.until(world.is_at_rest)
    page = await open_ops(visit)
    world.facebook.happen(world.pages[0])
    await expect(page.locator("#feed tbody tr")).to_have_count(1)
    await page.locator("#feed tbody tr").first.hover()
    world.facebook.happen(world.pages[0], conversations=3)
    await expect(page.locator("#feed header")).to_contain_text("3 new")
    await expect(page.locator("#feed tbody tr")).to_have_count(1)
    await page.locator("#jobs h2").hover()
    await expect(page.locator("#feed tbody tr")).to_have_count(4)


async def test_a_sync_can_be_started_and_watched_to_its_end(visit: Visit, world: World):
    page = await open_ops(visit)
    row = row_of(page, world.pages[1])
    world.facebook.modes.latency = 0.3
    try:
        await row.get_by_role("button", name="Full sync").click()
        await expect(page.locator(".toasts")).to_contain_text("Syncing all of")
        await expect(row.locator(".badge").first).to_have_text("Syncing")
        await expect(row.get_by_role("progressbar")).to_be_visible()
        await expect(row.get_by_role("button", name="Full sync")).to_have_count(0)
    finally:
        world.facebook.modes.latency = 0
    await expect(row.locator(".badge").first).to_have_text("Active", timeout=20_000)
    jobs = page.locator("#jobs tbody tr").filter(has_text=world.name(world.pages[1]))
    job = jobs.filter(has_text="full").first
    await expect(job).to_contain_text("complete")
    await expect(page.locator("#queues tbody tr").filter(has_text="sync step")).to_be_visible()
    await expect(page.locator("#queues header")).to_contain_text("now: 0 due")


async def test_a_page_can_be_paused_and_resumed(visit: Visit, world: World):
    page = await open_ops(visit)
    row = row_of(page, world.pages[1])
    await row.get_by_role("button", name="Pause").click()
    await expect(row.locator(".badge").first).to_have_text("Paused")
    await expect(row.get_by_text("Sync", exact=True)).to_have_count(0)
    await row.get_by_role("button", name="Resume").click()
    await expect(row.locator(".badge").first).not_to_have_text("Paused")


async def test_a_page_that_facebook_unsubscribed_can_be_subscribed_again(
    visit: Visit, world: World
):
    page = await open_ops(visit)
    mine = world.facebook.truth.pages[world.pages[1]]
    mine.subscribed_fields = frozenset()
    await row_of(page, mine.id).get_by_text("Re-subscribe").click()
    await expect(page.locator(".toasts")).to_contain_text("again")
    await world.stack.until(lambda: is_subscribed(mine))


async def is_subscribed(page: truth.Page) -> bool:
    return "messages" in page.subscribed_fields


async def test_a_page_whose_token_died_says_what_to_do(visit: Visit, world: World):
    page = await open_ops(visit)
    mine = world.facebook.truth.pages[world.pages[2]]
    row = row_of(page, mine.id)
    world.facebook.tokens.kill(mine, 460)
    await row.get_by_text("Sync", exact=True).click()
    await expect(row.locator(".badge").first).to_have_text("Needs you")
    await expect(page.locator(".explanation")).to_contain_text("password")
    await expect(page.locator(".explanation code")).to_contain_text(f"pagewire page add {mine.id}")
    token = world.facebook.tokens.issue(mine, world.facebook.clock.now_ms())
    await world.stack.command(
        *("page", "add", mine.id, "--name", mine.name), PAGE_ACCESS_TOKEN=token
    )
    await expect(row.locator(".badge").first).not_to_have_text("Needs you")
    await expect(page.locator(".explanation code")).to_have_count(0)


async def test_dead_letters_can_be_retried_and_discarded(visit: Visit, world: World):
    page = await open_ops(visit)
    stranger = {
        "object": "page",
        "entry": [{"id": "424242", "time": 1, "messaging": [{}, {"a": 1}]}],
    }
    assert await world.stack.post(json.dumps(stranger).encode()) == 200
    group = page.locator("#dead .group").filter(has_text="unknown page")
    await expect(group.locator(".badge")).to_have_text("2", timeout=20_000)
    tile = page.locator(".tile.warn").filter(has_text="Dead letters")
    await expect(tile).to_be_visible(timeout=15_000)
    await group.locator("summary").click()
    await group.get_by_role("button", name="Retry all").click()
    await until(lambda: letters_of(group), lambda letters: "2 tries" in letters, seconds=20)
    await group.locator(".letter").first.get_by_role("button", name="Discard").click()
    await page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    await expect(group.locator(".badge")).to_have_text("1")
    await group.get_by_role("button", name="Discard all").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await expect(group.locator(".badge")).to_have_text("1")
    await group.get_by_role("button", name="Discard all").click()
    await page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    await expect(page.locator("#dead")).to_contain_text("None.")


async def letters_of(group: Locator) -> str:
    """What is in a group; one that was empty for a moment has come back folded."""
    if await group.get_attribute("open") is None:
        await group.locator("summary").click()
    return await group.locator("ul").inner_text()


async def test_a_key_that_may_only_read_sees_no_actions(visit: Visit, world: World):
    page = await open_ops(visit, scope="read")
    await expect(row_of(page, world.pages[0])).to_be_visible()
    await expect(page.locator("main button")).to_have_count(0)


async def test_the_page_says_so_when_the_ingress_is_away(visit: Visit, world: World):
    page = await open_ops(visit)
    async with world.without_ingress():
        await expect(page.locator(".line")).to_contain_text("stale since")
    await expect(page.locator(".line")).to_have_text("Live", timeout=20_000)
