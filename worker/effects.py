"""What follows a commit: the cache forgets what became stale, then everyone is told."""

from shared.cache import Cache
from shared.ids import conversation_id
from shared.store.applying import Applied, Change


class Effects:
    """Commit, then invalidate, then announce, then forget the entry: everything rests on this.

    Invalidated before the commit, a reader could fill the cache with the old row again. Announced
    before the cache forgot, a listener could be served the old row. Forgotten before both, a crash
    in between would leave a stale cache and a silent feed. After a crash the entry is read again,
    and then `again` says that nobody knows how far the last attempt came: every conversation it
    mentions is invalidated and announced, whether this attempt changed it or not.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def follow(self, applied: Applied, *, again: bool) -> None:
        """Invalidate and announce what a committed batch changed, in one round trip."""
        changes = dict(applied.changes)
        if again:
            for key in applied.mentioned - changes.keys():
                changes[key] = Change(*key, conversation_id(*key), frozenset())
        if changes:
            await self._cache.changed(changes.values())
