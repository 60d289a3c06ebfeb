"""`python -m ingress [--only webhook|api]`: the doors, until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from ingress.app import Half, Ingress, wanted_settings
from ingress.listen import reserve
from ingress.supervise import MEMBER, supervise
from shared import config, garbage, log, tracing
from shared.config import Settings
from shared.errors import PagewireError, SettingsError
from shared.watchdog import end_in_time


def main() -> int:
    """Run the ingress; return its exit status: 0 stopped, 1 failed, 2 unusable settings."""
    parser = argparse.ArgumentParser(prog="python -m ingress", description="Pagewire's doors.")
    parser.add_argument(
        "--only", choices=("webhook", "api"), help="open this half alone (default: both)"
    )
    only: Half | None = parser.parse_args().only
    try:
        settings = config.load(os.environ, wants=wanted_settings(only), dotenv=Path(".env"))
        log.configure(settings.log_level, settings.log_format)
        with tracing.told("pagewire-api" if only == "api" else "pagewire-ingress"):
            return asyncio.run(_run(settings, only))
    except PagewireError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, SettingsError) else 1


async def _run(settings: Settings, only: Half | None) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    member = os.environ.get(MEMBER)
    if member is None and settings.ingress_processes > 1:
        return await _run_several(settings, stop)
    if member is not None:
        loop.add_reader(sys.stdin.fileno(), stop.set)  # it ends when the supervisor does
    ingress = Ingress(settings, only, None if member is None else int(member))
    await ingress.start()
    garbage.search_seldom()
    deadline = asyncio.ensure_future(end_in_time(stop))
    await ingress.run(stop)
    deadline.cancel()
    return 0


async def _run_several(settings: Settings, stop: asyncio.Event) -> int:
    ports = {
        "INGRESS_PORT": settings.ingress_port,
        "API_PORT": settings.api_port,
        "METRICS_PORT": settings.metrics_port,
    }
    with contextlib.ExitStack() as reserved:
        environ = dict(os.environ)
        for name, port in ports.items():
            if port is not None:
                held = reserved.enter_context(reserve(settings.ingress_host, port))
                environ[name] = str(held.getsockname()[1])
        return await supervise(settings.ingress_processes, sys.argv[1:], environ, stop)


if __name__ == "__main__":
    sys.exit(main())
