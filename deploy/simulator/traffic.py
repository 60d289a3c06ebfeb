"""Live traffic: people and Pages that go on writing at a given rate."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Never

from deploy.simulator.acts import Act, Acts
from deploy.simulator.config import Modes
from deploy.simulator.truth import Conversation, Page, Truth
from deploy.simulator.updates import Update

_ACTS: dict[Act, int] = {
    "message": 50, "echo": 22, "read": 7, "deliver": 7, "react": 5, "edit": 3, "unsend": 2,
    "unreact": 1, "postback": 1, "start": 1, "label": 1,
}  # fmt: skip
"""Acts and how often each happens, in a hundred."""
_IDLE = 0.05


class Traffic:
    """Makes things happen while the rate is above 0."""

    def __init__(
        self,
        truth: Truth,
        acts: Acts,
        modes: Modes,
        seed: int,
        announce: Callable[[list[Update]], None],
    ) -> None:
        self._pages = list(truth.pages.values())
        self._acts = acts
        self._modes = modes
        self._rng = Random(f"{seed}/traffic")
        self._announce = announce

    async def run(self) -> Never:
        """Keep the rate until cancelled; time lost to a stall is not caught up."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            rate = self._modes.events_per_second
            if not rate or not self._pages:
                await asyncio.sleep(_IDLE)
                due = loop.time()
                continue
            updates = self.some(self._rng.randint(1, self._modes.events_per_post))
            self._announce(updates)
            due = max(due + len(updates) / rate, loop.time() - 1)
            await asyncio.sleep(max(0.0, due - loop.time()))

    def some(self, count: int) -> list[Update]:
        """Make so many things happen, somewhere."""
        updates: list[Update] = []
        while len(updates) < count:
            page = self._rng.choice(self._pages)
            conversation = self._somewhere(page)
            if conversation is None:
                updates.append(self._acts.start(page, "messenger"))
            else:
                act = self._rng.choices(list(_ACTS), list(_ACTS.values()))[0]
                updates += self._acts.perform(act, conversation)
        return updates

    def _somewhere(self, page: Page) -> Conversation | None:
        """Return one of a Page's conversations, mostly one of the most recent."""
        inboxes = [inbox for inbox in page.inboxes.values() if inbox.rows]
        if not inboxes:
            return None
        rows = self._rng.choices(inboxes, [len(inbox.rows) for inbox in inboxes])[0].rows
        return rows[-1 - int(len(rows) * self._rng.random() ** 3)]
