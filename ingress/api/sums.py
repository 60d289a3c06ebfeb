"""What the conversations of each Page add up to."""

import time

from shared.store import overview
from shared.store.database import Database
from shared.store.overview import PageSums


class Sums:
    """Adds up as often as costs little: an index over all conversations is read each time."""

    SHARE = 0.05
    """The part of the time that may go into adding up while somebody looks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sums: dict[str, PageSums] = {}
        self._believed_until = float("-inf")

    async def of(self, *page_ids: str | None) -> PageSums:
        """Return the sums of a Page: of its id and its Instagram account's."""
        began = time.monotonic()
        if began >= self._believed_until:
            self._sums = await overview.page_sums(self._database, None)
            ended = time.monotonic()
            self._believed_until = ended + (ended - began) / self.SHARE
        mine = [self._sums[page_id] for page_id in page_ids if page_id in self._sums]
        return PageSums(
            sum(one.conversations for one in mine),
            max((one.last_message_at for one in mine if one.last_message_at), default=None),
        )
