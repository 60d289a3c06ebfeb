"""What people see and do in the inbox."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Locator, Page, expect

from deploy.simulator.truth import Conversation
from shared.ids import conversation_id
from tests.browser.conftest import PHONE, Visit, World, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROWS = ".row[data-row]"
BUBBLES = ".message .bubble"


def conversation(world: World, number: int, page: int = 0) -> Conversation:
    """A conversation of a Page that a test has for itself; they have 12 messages."""
    found = [
        one
        for one in world.facebook.truth.pages[world.pages[page]].conversations()
        if one.platform == "messenger" and one.person.name and not one.person.labels
    ]
    return sorted(found, key=lambda one: one.thread)[number]


def happen(world: World, of: Conversation, act: str = "message", **more: object) -> None:
    world.facebook.happen(of.page.id, act, conversations=[of.thread], **more)


async def open_inbox(visit: Visit, path: str = "/inbox", **look: object) -> Page:
    page = await visit(path, **look)
    await expect(page.locator(".line")).to_have_text("Live")
    await expect(page.locator(ROWS).first).to_be_attached()
    return page


async def open_thread(page: Page, of: Conversation) -> Locator:
    """Open somebody's conversation, which something just happened in."""
    row = page.locator(f'[data-row="{conversation_id(of.page.id, of.person.id)}"]')
    await row.click()
    await expect(page.locator(".thread h2")).to_have_text(of.person.name)
    return page.locator(".thread")


async def test_a_new_message_shows_in_the_list_and_in_the_open_thread_without_reload(
    visit: Visit, world: World
):
    page = await open_inbox(visit)
    of = conversation(world, 0)
    happen(world, of, text="Is this live?")
    first = page.locator(ROWS).first
    await expect(first).to_contain_text("Is this live?")
    await expect(first.locator(".unread-dot")).to_be_visible()
    await expect(page).to_have_title(re.compile(r"^\(\d+\) "))
    thread = await open_thread(page, of)
    await expect(thread.locator(BUBBLES).last).to_have_text("Is this live?")
    await expect(first.locator(".unread-dot")).to_have_count(0)
    happen(world, of, text="And this?")
    await expect(thread.locator(BUBBLES).last).to_have_text("And this?")


async def test_what_is_read_in_one_window_is_read_in_all(visit: Visit, world: World):
    here, there = await open_inbox(visit), await open_inbox(visit)
    of = conversation(world, 1)
    happen(world, of, text="Who reads this?")
    await expect(there.locator(ROWS).first).to_contain_text("Who reads this?")
    await open_thread(here, of)
    await expect(there.locator(ROWS).first.locator(".unread-dot")).to_have_count(0)


async def test_what_happens_to_a_message_shows_at_once(visit: Visit, world: World):
    page = await open_inbox(visit)
    of = conversation(world, 2)
    happen(world, of, text="Tomorrow at ten")
    thread = await open_thread(page, of)
    last = thread.locator(".message").last
    await expect(last).to_contain_text("Tomorrow at ten")
    happen(world, of, "react")
    await expect(last.locator(".reactions")).to_be_visible()
    happen(world, of, "edit", text="Tomorrow at eleven")
    await expect(last).to_contain_text("Tomorrow at eleven (edited)")
    happen(world, of, "unsend")
    await expect(last).to_have_text(re.compile("Message unsent"))
    happen(world, of, "echo", text="Eleven it is")
    await expect(last).to_contain_text("Sent")
    happen(world, of, "deliver")
    await expect(last).to_contain_text("Delivered")
    happen(world, of, "read")
    await expect(last).to_contain_text("Read")


async def test_older_messages_come_in_above_without_moving_what_one_reads(
    visit: Visit, world: World
):
    of = conversation(world, 3)
    happen(world, of, text="first of many")
    happen(world, of, count=120, together=True)
    page = await open_inbox(visit)
    thread = await open_thread(page, of)
    await expect(thread.locator(".message")).not_to_have_count(0)
    scroller = thread.locator(".messages")
    loaded = await thread.locator(".message").count()
    top = thread.locator(".message").nth(2)
    mid = await top.get_attribute("id")
    await top.scroll_into_view_if_needed()
    before = await top.bounding_box()
    await until(thread.locator(".message").count, lambda count: count > loaded)
    after = await page.locator(f"[id='{mid}']").bounding_box()
    assert abs(before["y"] - after["y"]) < 2
    while not await page.get_by_text("first of many").count():
        await scroller.evaluate("box => box.scrollTo(0, -box.scrollHeight)")
        await page.wait_for_timeout(50)
    await expect(thread.locator(".edge")).to_contain_text(re.compile("begins|full sync"))


async def test_whoever_reads_further_up_is_told_of_new_messages_and_not_moved(
    visit: Visit, world: World
):
    of = conversation(world, 4)
    happen(world, of, count=40, together=True)
    page = await open_inbox(visit)
    thread = await open_thread(page, of)
    await expect(thread.locator(".message").nth(30)).to_be_attached()
    await thread.locator(".messages").evaluate("box => box.scrollTo(0, -400)")
    middle = thread.locator(".message").nth(-15)
    mid = await middle.get_attribute("id")
    before = await middle.bounding_box()
    happen(world, of, text="Down here!")
    pill = thread.locator(".pill")
    await expect(pill).to_have_text("New message")
    after = await page.locator(f"[id='{mid}']").bounding_box()
    assert abs(before["y"] - after["y"]) < 2
    await pill.click()
    await expect(thread.get_by_text("Down here!")).to_be_in_viewport()
    await expect(pill).to_have_count(0)


async def test_the_list_goes_on_as_far_as_one_scrolls(visit: Visit, world: World):
    page = await open_inbox(visit)
    rows = page.locator(ROWS)
    await until(rows.count, lambda count: count >= 50)
    seen = -1
    while (count := await rows.count()) > seen or await page.locator(".more").count():
        seen = count
        await rows.last.scroll_into_view_if_needed()
        await page.wait_for_timeout(100)
    [(stored,)] = await world.stack.rows("select count(*) from conversations")
    assert await rows.count() == stored


async def test_filters_narrow_the_list_and_stand_in_the_address(visit: Visit, world: World):
    page = await open_inbox(visit)
    name = world.name(world.pages[1])
    await page.get_by_label("Page", exact=True).select_option(name)
    await expect(page.locator(f"{ROWS} .faint")).to_have_count(0)
    await page.get_by_role("button", name="Unread").click()
    mine, other = conversation(world, 0, page=1), conversation(world, 0, page=2)
    happen(world, mine, text="In sight")
    await expect(page.locator(ROWS).first).to_contain_text("In sight")
    happen(world, other, text="Out of sight")
    happen(world, mine, text="Still in sight")
    await expect(page.locator(ROWS).first).to_contain_text("Still in sight")
    assert await page.get_by_text("Out of sight").count() == 0
    assert set(parse_qs(urlsplit(page.url).query)) == {"page", "unread"}
    await page.reload()
    await expect(page.locator(ROWS).first).to_contain_text("Still in sight")
    assert await page.locator(ROWS).count() == await page.locator(".unread-dot").count()
    # Read, it stays in sight until another one is opened.
    first, second = page.locator(ROWS).nth(0), page.locator(ROWS).nth(1)
    await first.click()
    await expect(first.locator(".unread-dot")).to_have_count(0)
    await expect(first).to_contain_text("Still in sight")
    await second.click()
    await expect(page.locator(".list").get_by_text("Still in sight")).to_have_count(0)


async def test_a_search_finds_old_messages_and_opens_at_them(visit: Visit, world: World):
    of = conversation(world, 13)
    happen(world, of, text="The parcel went to Zanzibar")
    happen(world, of, count=80, together=True)
    page = await open_inbox(visit)
    await page.keyboard.press("/")
    await page.keyboard.type("zanz parcel")
    await expect(page.locator(ROWS)).to_have_count(1)
    thread = await open_thread(page, of)
    await expect(thread.locator("mark", has_text="Zanz")).to_be_in_viewport()
    await page.reload()
    await expect(page.locator(ROWS)).to_have_count(1)
    await expect(page.get_by_role("searchbox")).to_have_value("zanz parcel")
    await page.get_by_role("searchbox").fill(of.person.name)
    await expect(page.locator(ROWS).first.locator("mark").first).to_be_visible()
    await page.get_by_role("searchbox").fill("nobody ever wrote this")
    await expect(page.locator(".list")).to_contain_text("Nothing matches")
    await page.get_by_role("button", name="Show all").click()
    await until(page.locator(ROWS).count, lambda count: count >= 50)


async def test_a_tag_can_be_added_filtered_by_and_removed(visit: Visit, world: World):
    page = await open_inbox(visit)
    of = conversation(world, 5)
    happen(world, of, text="Tag me")
    await open_thread(page, of)
    await expect(page.get_by_label("Add a tag")).to_be_visible()
    await page.keyboard.press("t")
    await page.keyboard.type("needs 1/2 call")
    await page.keyboard.press("Enter")
    row = page.locator(ROWS).first
    await expect(row.locator(".chip")).to_have_text("needs 1/2 call")
    await page.get_by_label("Tag", exact=True).select_option("needs 1/2 call")
    await expect(page.locator(ROWS)).to_have_count(1)
    await page.reload()
    await expect(page.locator(ROWS)).to_have_count(1)
    await page.get_by_role("button", name="Remove tag needs 1/2 call").click()
    await expect(page.locator(".details .chip")).to_have_count(0)
    tagged = "select 1 from conversation_tags where active and key = 'needs 1/2 call'"
    await until(lambda: world.stack.rows(tagged), lambda rows: rows == [])


async def test_labels_of_facebook_are_shown_but_not_offered_for_change(visit: Visit, world: World):
    of = next(
        one
        for one in world.facebook.truth.pages[world.pages[0]].conversations()
        if one.person.labels and one.platform == "messenger" and one.person.name
    )
    # Labels come after conversations, one call a person, when nothing else is to be done.
    labelled = f"select 1 from conversation_tags where participant_id = '{of.person.id}'"
    await until(lambda: world.stack.rows(labelled), bool, seconds=60)
    page = await open_inbox(visit)
    happen(world, of, text="I have a label")
    await open_thread(page, of)
    chip = page.locator(".details .chip").first
    await expect(chip).to_contain_text(next(iter(of.person.labels.values())))
    await expect(chip.get_by_role("button")).to_have_count(0)


async def test_a_link_to_a_conversation_opens_it_and_back_leads_back(visit: Visit, world: World):
    page = await open_inbox(visit)
    of = conversation(world, 6)
    happen(world, of, text="Link to me")
    await open_thread(page, of)
    link = page.url
    await page.go_back()
    await expect(page.get_by_text("Choose a conversation")).to_be_visible()
    await page.go_forward()
    await expect(page.locator(".thread h2")).to_have_text(of.person.name)
    other = await open_inbox(visit, link)
    await expect(other.locator(BUBBLES).last).to_have_text("Link to me")
    gone = await open_inbox(visit, "/inbox?conversation=00000000-0000-0000-0000-000000000000")
    await expect(gone.get_by_text("There is no such conversation").first).to_be_visible()


async def test_every_kind_of_attachment_is_shown_as_what_it_is(visit: Visit, world: World):
    of = conversation(world, 7)
    page = await open_inbox(visit)
    cdn, here = "https://scontent.xx.fbcdn.net/v", {"lat": 59.9, "long": 10.7}
    attachments = [
        {"type": "image", "payload": {"url": f"{cdn}/photo.jpg?oe=1"}},
        {"type": "video", "payload": {"url": f"{cdn}/film.mp4"}},
        {"type": "audio", "payload": {"url": f"{cdn}/voice.mp3"}},
        {"type": "file", "payload": {"url": f"{cdn}/bill.pdf"}, "name": "bill.pdf"},
        {"type": "location", "title": "The harbour", "payload": {"coordinates": here}},
        {"type": "fallback", "title": "Ten huts", "payload": {"url": "https://example.org/huts"}},
        {"type": "hologram", "payload": {"url": "javascript:alert(1)"}},
    ]  # fmt: skip
    await world.say(of, {"attachments": attachments})
    thread = await open_thread(page, of)
    last = thread.locator(".message").last
    await expect(last.locator(".picture img")).to_be_visible()
    await expect(last).to_contain_text("Cannot be loaded")
    await expect(last.get_by_role("link", name="bill.pdf")).to_be_visible()
    await expect(last.get_by_role("link", name="The harbour")).to_be_visible()
    await expect(last.get_by_role("link", name="Ten huts")).to_be_visible()
    await expect(last.get_by_text("Hologram")).to_be_visible()
    assert await page.locator("a[href^=javascript]").count() == 0


async def test_what_people_write_is_text_and_never_markup(visit: Visit, world: World):
    of = conversation(world, 8)
    page = await open_inbox(visit)
    text = "<img src=x onerror=alert(1)> see https://example.org/a?b=1."
    happen(world, of, text=text)
    thread = await open_thread(page, of)
    await expect(thread.locator(BUBBLES).last).to_have_text(text)
    await expect(thread.get_by_role("link", name="https://example.org")).to_have_attribute(
        "href", "https://example.org/a?b=1"
    )


async def test_a_reply_shows_what_it_answers(visit: Visit, world: World):
    of = conversation(world, 9)
    page = await open_inbox(visit)
    mid = await world.say(of, {"text": "The blue one or the green one?"})
    await world.say(of, {"text": "Green", "reply_to": {"mid": mid}})
    thread = await open_thread(page, of)
    await expect(thread.locator(".quote")).to_have_text("The blue one or the green one?")


async def test_the_keyboard_does_it_all(visit: Visit, world: World):
    page = await open_inbox(visit)
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_contain_text("Next conversation")
    await page.keyboard.press("Escape")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    second = page.locator(ROWS).nth(1)
    await expect(second).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(second).to_have_attribute("aria-current", "true")
    await page.keyboard.press("k")
    await expect(page.locator(ROWS).first).to_be_focused()
    await page.keyboard.press("/")
    await expect(page.get_by_role("searchbox")).to_be_focused()
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    await expect(page.get_by_text("Choose a conversation")).to_be_visible()
    await page.keyboard.press("g")
    await page.keyboard.press("o")
    await page.wait_for_url("**/ops")


async def test_the_focus_stays_on_a_row_that_moves(visit: Visit, world: World):
    page = await open_inbox(visit)
    for _ in range(4):
        await page.keyboard.press("j")
    focused = await page.evaluate("document.activeElement.dataset.row")
    of = await world.of_row(focused)
    happen(world, of, text="I move up")
    await expect(page.locator(ROWS).first).to_contain_text("I move up")
    assert await page.evaluate("document.activeElement.dataset.row") == focused


async def test_a_key_that_may_only_read_is_offered_nothing_else(visit: Visit, world: World):
    page = await open_inbox(visit, scope="read")
    of = conversation(world, 10)
    happen(world, of, text="Only look")
    row = page.locator(ROWS).first
    await expect(row).to_contain_text("Only look")
    await open_thread(page, of)
    await expect(page.locator(BUBBLES).last).to_have_text("Only look")
    await expect(page.get_by_label("Add a tag")).to_have_count(0)
    await expect(row.locator(".unread-dot")).to_be_visible()


async def test_a_phone_shows_one_pane_at_a_time(visit: Visit, world: World):
    page = await open_inbox(visit, viewport=PHONE, has_touch=True)
    of = conversation(world, 11)
    happen(world, of, text="On the phone")
    await expect(page.locator(ROWS).first).to_contain_text("On the phone")
    await expect(page.locator(".thread")).to_be_hidden()
    await page.locator(ROWS).first.tap()
    await expect(page.locator(".list")).to_be_hidden()
    await expect(page.locator(BUBBLES).last).to_have_text("On the phone")
    await expect(page.get_by_role("log")).to_be_focused()
    await page.get_by_role("link", name="Details").tap()
    await expect(page.locator(".details")).to_be_in_viewport()
    await page.go_back()
    await page.get_by_role("button", name="Back to the list").tap()
    await expect(page.locator(".list")).to_be_visible()
    await expect(page.locator(ROWS).first).to_be_focused()
    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert wide <= PHONE["width"]


async def test_after_a_restart_of_the_ingress_nothing_that_was_missed_is_missing(
    visit: Visit, world: World
):
    page = await open_inbox(visit)
    of = conversation(world, 12)
    happen(world, of, text="Before")
    await open_thread(page, of)
    await expect(page.locator(BUBBLES).last).to_have_text("Before")
    async with world.without_ingress():
        await expect(page.locator(".line")).to_contain_text("stale since")
        happen(world, of, text="While you were gone")
    await expect(page.locator(BUBBLES).last).to_have_text("While you were gone", timeout=20_000)
    await expect(page.locator(".line")).to_have_text("Live")


async def test_signing_in_leads_back_to_where_one_was(visit: Visit, world: World):
    page = await visit("/inbox?unread=1", scope=None)
    await page.wait_for_url("**/sign-in?next=*")
    await page.get_by_label("API key").fill("pw_live_wrong")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("not valid")
    await page.get_by_label("API key").fill(world.keys["admin"])
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/inbox?unread=1")
    await expect(page.locator(".line")).to_have_text("Live")
    await page.get_by_label("You and your settings").click()
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url("**/sign-in*")
    await page.goto("/inbox")
    await page.wait_for_url("**/sign-in*")


async def test_the_sign_in_leads_to_no_other_site(visit: Visit, world: World):
    page = await visit("/sign-in?next=//elsewhere.example/inbox", scope=None)
    await page.get_by_label("API key").fill(world.keys["read"])
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{world.stack.url}/inbox")


async def test_the_chosen_theme_is_remembered(visit: Visit):
    page = await open_inbox(visit)
    await page.get_by_label("You and your settings").click()
    await page.get_by_text("dark", exact=True).click()
    await page.reload()
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(16, 18, 20)"
