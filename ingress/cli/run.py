import os
import sys
from typing import NoReturn


def run() -> NoReturn:
    """Run everything on this machine, as `make run` does, until Ctrl-C.

    Postgres and Redis (unless DATABASE_URL and REDIS_URL name others), the ingress, the workers,
    and a simulated Facebook (unless FACEBOOK_APP_SECRET is set).

    For example:

        pagewire run
    """
    os.execv(sys.executable, [sys.executable, "-m", "deploy.local"])  # noqa: S606
