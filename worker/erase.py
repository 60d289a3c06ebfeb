"""Erases people: whom a job names, and who asked Facebook for it where we know who that is."""

from shared import metrics
from shared.cache import Cache
from shared.errors import Conflict, NotFound
from shared.queue import Erase
from shared.store import erasing, privacy
from shared.store.database import Database
from worker.outcome import DeadLetter, Outcome


class Erasures:
    """Erases from the tables and from the cache; doing it again does no harm."""

    def __init__(self, database: Database, cache: Cache) -> None:
        self._database = database
        self._cache = cache

    async def erase(self, job: Erase) -> Outcome | None:
        """Erase a person at one Page, or at all that know the person."""
        try:
            for page_id in await erasing.whereabouts(self._database, job.person, job.page):
                await self._erase(page_id, job.person)
        except (NotFound, Conflict) as error:
            return DeadLetter("bad_job", str(error))
        return None

    async def answer(self) -> None:
        """Do what Facebook's data-deletion callbacks ask for, for users we know."""
        for request in await privacy.received(self._database):
            for page_id, person in request.people:
                await self._erase(page_id, person)
            if await privacy.finish(self._database, request.code):
                metrics.privacy_requests.labels("data_deletion", "erased").inc()

    async def _erase(self, page_id: str, person: str) -> None:
        await self._cache.changed([await erasing.erase(self._database, page_id, person)])
