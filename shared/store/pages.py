"""The Pages we keep: which there are, and what may be done with them."""

import time
from collections.abc import Iterable

from shared.store import queries
from shared.store.database import Database

_SQL = queries.load("pages.sql")


class KnownPages:
    """Which ids of webhook entries are ours: Pages and their linked Instagram accounts.

    What is known is kept in memory; an unknown id is asked for again, at most once a second, so
    that a Page that was just added is known from its next event on.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[str] = set()
        self._asked: dict[str, float] = {}

    async def unknown(self, ids: Iterable[str]) -> set[str]:
        """Return those ids that belong to no Page of ours."""
        strange = set(ids) - self._known
        now = time.monotonic()
        ask = [page_id for page_id in strange if now - self._asked.get(page_id, -1) >= 1]
        if ask:
            async with self._database.connection() as connection:
                rows = await connection.fetch(_SQL["known_page_ids"], ask)
            self._known |= {row["id"] for row in rows}
            if len(self._asked) > 10_000:
                self._asked.clear()
            self._asked |= dict.fromkeys(ask, now)
        return strange - self._known
