"""Measures how long a message takes from Facebook's POST to the row somebody sees.

Not collected by itself: `pytest tests/browser/speed.py`.
"""

import asyncio
import time

import pytest

from tests.browser.conftest import Visit, World
from tests.browser.test_browser_inbox import conversation, open_inbox

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECONDS = 4
# Each row that changes says in its text when its message was sent; what is painted next counts.
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


@pytest.mark.parametrize("rate", [50, 200])
async def test_how_soon_a_message_is_on_the_screen(
    visit: Visit, world: World, rate: int, capsys: pytest.CaptureFixture[str]
):
    await world.stack.until(world.is_at_rest)
    page = await open_inbox(visit)
    await page.evaluate(WATCH)
    people = [conversation(world, number) for number in range(30)]
    sending: set[asyncio.Task[str]] = set()
    start = time.monotonic()
    for number in range(rate * SECONDS):
        await asyncio.sleep(max(0, start + number / rate - time.monotonic()))
        text = f"at {time.time_ns() // 1_000_000}"
        sending.add(asyncio.create_task(world.say(people[number % 30], {"text": text})))
    await asyncio.gather(*sending)
    await page.wait_for_timeout(1000)
    taken = sorted(await page.evaluate("[...taken.values()]"))
    p50, p99 = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
    with capsys.disabled():
        print(f"\n{rate}/s: row on the screen after p50 {p50} ms, p99 {p99} ms ({len(taken)} rows)")
