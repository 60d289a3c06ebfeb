"""Watches that webhooks keep coming: Facebook unsubscribes an app after an hour of failures.

https://developers.facebook.com/docs/messenger-platform/webhooks
"""

from datetime import datetime, timedelta

from shared import log
from shared.config import Secret
from shared.crypto import CannotDecrypt, KeyRing
from shared.facebook.graph import details, requests
from shared.facebook.graph.batch import LIMIT
from shared.facebook.graph.limits import Priority
from shared.facebook.graph.replies import Reply
from shared.facebook.graph.requests import WANTED_FIELDS, Request
from shared.store import coverage, runs
from shared.store.coverage import WatchedPage
from shared.store.database import Database
from worker.sync.asking import Answer, Ask, Graph

FIRST_GAP = timedelta(days=1)
"""How far back a Page is repaired whose subscription was never seen before."""

_log = log.get(__name__)


class Watch:
    """Looks after the subscriptions of all active Pages."""

    def __init__(self, database: Database, graph: Graph, keys: KeyRing, app_id: str) -> None:
        self._database = database
        self._graph = graph
        self._keys = keys
        self._app_id = app_id

    async def look(self, every: timedelta, now: datetime, page_id: str | None = None) -> None:
        """Check up to fifty Pages (or one) that were not checked for so long, in one request.

        Where a wanted field is missing, we were dropped: the Page is repaired from the last event
        on, and subscribed again. Raises Unavailable.
        """
        watched = {
            page.page_id: (page, token)
            for page in await coverage.to_watch(self._database, every, LIMIT, page_id)
            if (token := self._token(page)) is not None
        }
        grants = await self._graph.admit(dict.fromkeys(watched, 1), Priority.CRON)
        asked = [known for page_id, known in watched.items() if grants[page_id].calls]
        if not asked:
            return
        answers = await self._graph.ask(
            [_ask(page, token, requests.subscribed_apps(page.page_id)) for page, token in asked]
        )
        for (page, token), answer in zip(asked, answers, strict=True):
            # Trouble with a Page is found and told of by its syncs.
            if isinstance(answer, Reply):
                await self._check(page, token, answer, now)

    async def _check(self, page: WatchedPage, token: Secret, reply: Reply, now: datetime) -> None:
        fields = details.subscribed_fields(reply, self._app_id)
        if not fields.issuperset(WANTED_FIELDS):
            # Asked for first: were we to stop here, the gap would not be seen again.
            await runs.request(
                self._database,
                page.page_id,
                "repair",
                priority=Priority.CRON,
                since=_last_event(page, now),
            )
            answer = await self._subscribe(page, token, fields)
            is_subscribed = isinstance(answer, Reply)
            _log.warning("page_unsubscribed", page=page.page_id, subscribed_again=is_subscribed)
            if not is_subscribed:
                return
        await coverage.seen_subscribed(self._database, page.page_id, now)

    async def _subscribe(self, page: WatchedPage, token: Secret, had: frozenset[str]) -> Answer:
        # The new fields replace the old: what others asked for stays.
        request = requests.subscribe(page.page_id, sorted(had.union(WANTED_FIELDS)))
        (answer,) = await self._graph.ask([_ask(page, token, request)])
        return answer

    def _token(self, page: WatchedPage) -> Secret | None:
        try:
            return self._keys.decrypt(page.token, page.page_id)
        except CannotDecrypt:
            return None


def _last_event(page: WatchedPage, now: datetime) -> datetime:
    """Return since when something may be missing.

    Facebook fails to reach us for an hour before it drops us, and all that while we are seen
    subscribed: what counts is when we last heard of anybody.
    """
    seen_at = page.seen_at or now - FIRST_GAP
    return min(seen_at, page.last_message_at or seen_at)


def _ask(page: WatchedPage, token: Secret, request: Request) -> Ask:
    return Ask(page_id=page.page_id, instagram_id=page.instagram_id, token=token, request=request)
