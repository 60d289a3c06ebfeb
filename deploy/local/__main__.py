"""`make run`: all of Pagewire on this machine, started in order, kept up, stopped in reverse.

PostgreSQL and Redis (unless DATABASE_URL and REDIS_URL name others), the workers, the ingress,
and a simulated Facebook (unless FACEBOOK_APP_SECRET says there is a real app).
"""

import argparse
import asyncio
import contextlib
import resource
import signal
import sys
from pathlib import Path

from deploy.local import folders
from deploy.local.errors import CannotStart
from deploy.local.process import stop_when_parent_does
from deploy.local.stack import Stack
from deploy.local.supervisor import Supervisor
from shared.errors import PagewireError


def main() -> int:
    """Run until stopped; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".pagewire"), help="where data is kept")
    parser.add_argument(
        "--until-parent-ends", action="store_true", help="stop when the caller is killed"
    )
    arguments = parser.parse_args()
    if arguments.until_parent_ends:
        stop_when_parent_does()
    # A core dump would hold tokens: of this process, and of all it starts.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        asyncio.run(_run(arguments.home.resolve()))
    except (CannotStart, PagewireError, OSError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


async def _run(home: Path) -> None:
    with contextlib.ExitStack() as held:
        held.enter_context(folders.claimed(home, "run"))
        async with Supervisor(report=_say) as supervisor:
            stop = asyncio.create_task(_stop_requested())
            start = asyncio.create_task(Stack(home, held, supervisor, _say).start())
            await asyncio.wait({stop, start}, return_when=asyncio.FIRST_COMPLETED)
            if start.done():
                _say(start.result())
                await stop
            start.cancel()
            await asyncio.wait([start])
            _say("Stopping.")
    _say(f"Stopped. The data stays in {home}.")


async def _stop_requested() -> None:
    requested = asyncio.Event()
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # nohup has SIGHUP ignored, and means it.
        if signal.getsignal(how) != signal.SIG_IGN or how != signal.SIGHUP:
            asyncio.get_running_loop().add_signal_handler(how, requested.set)
    await requested.wait()


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
