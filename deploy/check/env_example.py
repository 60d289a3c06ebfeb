"""Writes `deploy/env.example` from the table of settings: `python -m deploy.check.env_example`."""

import sys

from shared.config import SETTINGS, Setting

_HEAD = """\
# Settings of Pagewire: copy this file to `.env` beside the README and fill in what is empty.
# Written from shared/config.py; what is commented out is the default. For a secret, NAME_FILE may
# name a file that holds it instead.
"""

_COMPOSE = """
# --- for deploy/compose.yaml only -------------------------------------------------------------
# Letters and digits, since they stand in URLs; each from `openssl rand -hex 24`. The compose file
# makes DATABASE_URL and REDIS_URL of them, one a process kind.
POSTGRES_PASSWORD=
MIGRATOR_PASSWORD=
INGRESS_PASSWORD=
API_PASSWORD=
WORKER_PASSWORD=
OPERATOR_PASSWORD=
PRODUCER_PASSWORD=
# With --profile monitoring
GRAFANA_PASSWORD=
"""

# What nobody but the person who sets Pagewire up can know.
_ASKED = ("FACEBOOK_APP_ID", "FACEBOOK_APP_SECRET", "WEBHOOK_VERIFY_TOKEN", "TOKEN_ENCRYPTION_KEYS")


def text() -> str:
    """Return the file."""
    return _HEAD + "".join(map(_entry, SETTINGS)) + _COMPOSE


def _entry(setting: Setting) -> str:
    mark = "" if setting.name in _ASKED else "# "
    return f"\n# {setting.meaning}\n{mark}{setting.name}={setting.default or ''}\n"


if __name__ == "__main__":
    sys.stdout.write(text())
