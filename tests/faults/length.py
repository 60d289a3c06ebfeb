"""How long a run is: `FAULTS_MINUTES` of the 55 a whole one takes; unset or 0: a short one."""

import os

import pytest

WHOLE = 55.0
MINUTES = float(os.environ.get("FAULTS_MINUTES") or 0)

only_long = pytest.mark.skipif(
    "FAULTS_MINUTES" not in os.environ, reason="run by `make faults-short` and `make faults`"
)


def scaled(whole: int, short: int) -> int:
    """Return how many of something a run of this length tries."""
    return max(short, int(whole * min(1.0, MINUTES / WHOLE)))
