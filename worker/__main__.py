"""`python -m worker [--only ingest|jobs]`: run a worker until told to stop."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from shared import config, log
from shared.errors import SettingsError
from worker import main as root


def main() -> int:
    """Run a worker; exit 2 when the settings are not usable."""
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    parser.add_argument("--only", choices=("ingest", "jobs"), help="run one half of a worker")
    only = parser.parse_args().only
    try:
        settings = config.load(os.environ, wants=root.WANTS, dotenv=Path(".env"))
        log.configure(settings.log_level, settings.log_format)
        asyncio.run(root.serve(settings, only))
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
