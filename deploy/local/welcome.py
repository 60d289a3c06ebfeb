"""What the screen says once everything runs: where to look, and what to try."""

import sys
from pathlib import Path

from deploy.local import ports
from deploy.local.servers import Server
from shared.config import Settings

_QUERY = "select sent_at, direction, text from messages order by sent_at desc nulls last limit 10"


def welcome(
    settings: Settings, *, key: str, key_file: Path, postgres: Server | None, simulated: bool
) -> str:
    """Return the screen. `postgres` is the embedded one; None where DATABASE_URL was given."""
    doors = ports.url(settings.ingress_host, settings.ingress_port)
    api = ports.url(settings.ingress_host, settings.api_port or settings.ingress_port)
    command = Path(sys.executable).with_name("pagewire")
    return f"""
Pagewire runs.

  Inbox       {api}/inbox
  Operations  {api}/ops
  API key     {key}
  Facebook    {_facebook(settings, doors, key_file, simulated=simulated)}

Try, in another terminal:

  curl -H "Authorization: Bearer $(cat {_short(key_file)})" '{api}/api/conversations?limit=3'
  {_short(command)} sync --all --wait
  {_psql(postgres)} -c '{_QUERY}'

Logs are in {_short(key_file.parents[1] / "logs")}. Ctrl-C stops everything; the data stays.
"""


def _facebook(settings: Settings, doors: str, key_file: Path, *, simulated: bool) -> str:
    if simulated:
        return f"simulated at {settings.graph_api_url}/_simulator/"
    token = _short(key_file.with_name("webhook-verify-token"))
    return f"the real one; it must reach {doors}/api/webhook (verify token: {token})"


def _psql(postgres: Server | None) -> str:
    if postgres is None:
        return 'psql "$DATABASE_URL"'
    beside = Path(postgres.program.command[0]).with_name("psql")
    return f"{_short(beside) if beside.exists() else 'psql'} '{postgres.url}'"


def _short(path: Path) -> Path:
    """Return `path` as seen from here, where that is shorter."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
