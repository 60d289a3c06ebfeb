"""How long a run is: `FAULTS_MINUTES` of the 55 a whole one takes; unset or 0: a short one."""

import os

WHOLE = 55.0
MINUTES = float(os.environ.get("FAULTS_MINUTES") or 0)


def scaled(whole: int, short: int) -> int:
    """Return how many of something a run of this length tries."""
    return max(short, int(whole * min(1.0, MINUTES / WHOLE)))
