"""How long it takes until somebody sees it: an open inbox in Chromium, looked at frame by frame."""

import shutil
from collections.abc import Awaitable, Callable

from playwright.async_api import async_playwright

# A row says in its text when its message was posted; the next painting of it counts.
WATCH = """() => {
  window.taken = new Map();
  const begun = Date.now();
  const look = () => {
    for (const row of document.querySelectorAll(".snippet")) {
      const sent = /^at (\\d+)$/.exec(row.textContent)?.[1];
      if (sent > begun && !taken.has(sent)) taken.set(sent, Date.now() - Number(sent));
    }
  };
  new MutationObserver(() => requestAnimationFrame(look)).observe(
    document.querySelector(".list"), {subtree: true, childList: true, characterData: true});
}"""


async def milliseconds(
    url: str, key: str, post: Callable[[], Awaitable[None]]
) -> list[float] | None:
    """Return the times to each row that was seen of what `post` posts; None without a Chromium."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        return None
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        context = await browser.new_context(base_url=url)
        await context.request.post("/api/session", data={"key": key}, headers={"Origin": url})
        page = await context.new_page()
        await page.goto("/inbox")
        await page.locator(".line", has_text="Live").wait_for()
        await page.locator(".row[data-row]").first.wait_for()
        await page.evaluate(WATCH)
        await post()
        await page.wait_for_timeout(1000)  # for the last of them
        taken = await page.evaluate("[...taken.values()]")
        await browser.close()
    return taken
