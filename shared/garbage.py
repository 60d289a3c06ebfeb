"""Keeps Python's search for cycles out of the way of live events."""

import gc

_YOUNG = 10_000
"""Containers made, less those gone, after which the young ones are searched. A batch of 250 items
makes some thousands, hardly one of them in a cycle: at Python's 700 the search took a sixth of a
worker's time out of a full backlog, and up to 30 ms at once."""


def search_seldom() -> None:
    """Never search again what was built up to now; search what comes seldom.

    Call it once all that lasts is built.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)
