"""Which Page an id means, from memory: a filter by Page costs no query of its own."""

import asyncio
import time
from collections.abc import Collection

from shared.errors import NotFound
from shared.store import pages
from shared.store.database import Database
from shared.store.pages import Page

FRESH = 5.0
"""Seconds a listing is believed. A Page this process changed itself is read again at once."""

_NEVER = float("-inf")
_AGAIN = 1.0  # seconds before an id nobody knows may cause another look


class Directory:
    """All Pages by our id and by either of Facebook's."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pages: list[Page] = []
        self._by_id: dict[str, Page] = {}
        self._read_at, self._forgotten = _NEVER, False
        self._reading = asyncio.Lock()

    async def find(self, any_id: str, only: Collection[str] | None) -> Page:
        """Return the Page an id means; raises NotFound where it is none of `only`."""
        await self._refresh(FRESH)
        if any_id.lower() not in self._by_id:
            await self._refresh(_AGAIN)
        page = self._by_id.get(any_id.lower())
        if page is None or (only is not None and page.facebook_page_id not in only):
            raise NotFound("There is no such Page.")
        return page

    async def listing(self, only: Collection[str] | None) -> list[Page]:
        """Return all Pages, removed ones too, or those of `only`."""
        await self._refresh(FRESH)
        return [page for page in self._pages if only is None or page.facebook_page_id in only]

    async def entry_ids(self, facebook_page_ids: Collection[str]) -> list[str]:
        """Return the ids by which rows of these Pages go, Instagram accounts included."""
        await self._refresh(FRESH)
        found = set(facebook_page_ids)
        for page_id in facebook_page_ids:
            if page_id in self._by_id:
                found.update(self._by_id[page_id].entry_ids)
        return sorted(found)

    def forget(self) -> None:
        """Read the Pages again before the next answer."""
        self._read_at, self._forgotten = _NEVER, True

    async def _refresh(self, age: float) -> None:
        if time.monotonic() - self._read_at <= age:
            return
        async with self._reading:  # once for all who wait
            if time.monotonic() - self._read_at <= age:
                return
            began, self._forgotten = time.monotonic(), False
            self._pages = await pages.listing(self._database)
            self._by_id = {
                known_as: page
                for page in self._pages
                for known_as in (str(page.id), *page.entry_ids)
            }
            self._read_at = _NEVER if self._forgotten else began
