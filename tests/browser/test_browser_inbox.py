"""What people see and do in the inbox."""

import re

from playwright.async_api import Page, expect

from tests.browser.conftest import Visit, World

ROWS = ".row[data-row]"


async def test_a_new_message_shows_in_the_list_and_the_open_thread_without_reload(
    visit: Visit, world: World
):
    page = await visit("/inbox")
    await expect(page.locator(".line")).to_have_text("Live")
    first, second = page.locator(ROWS).nth(0), page.locator(ROWS).nth(1)
    await second.click()
    thread = world.facebook.truth.pages[world.pages[0]].conversations()[5]
    world.facebook.happen(world.pages[0], conversations=[thread.thread], text="Is this live?")
    await expect(first).to_contain_text("Is this live?")
    await expect(first.locator(".unread-dot")).to_be_visible()
    await first.click()
    await expect(page.locator(".message.in").last).to_contain_text("Is this live?")
    await expect(first.locator(".unread-dot")).to_have_count(0)
    world.facebook.happen(world.pages[0], conversations=[thread.thread], text="And this?")
    await expect(page.locator(".message.in").last).to_contain_text("And this?")
