"""`make run`: all of Pagewire on this machine, started in order, kept up, stopped in reverse.

PostgreSQL and Redis (unless DATABASE_URL and REDIS_URL name others), the workers, the ingress,
and a simulated Facebook (unless FACEBOOK_APP_SECRET says there is a real app).
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from dotenv import dotenv_values

from deploy.local import folders, keys, ports, servers
from deploy.local.errors import CannotStart
from deploy.local.keys import Keys
from deploy.local.process import stop_when_parent_does
from deploy.local.product import Product
from deploy.local.supervisor import Supervisor
from shared import config
from shared.errors import PagewireError
from shared.store.migrate import migrate

DOTENV = Path(".env")
NEEDED = ("database_url", "redis_url", "webhook_verify_token", "token_encryption_keys")


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
    try:
        asyncio.run(_run(arguments.home.resolve()))
    except (CannotStart, PagewireError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


async def _run(home: Path) -> None:
    with contextlib.ExitStack() as held:
        held.enter_context(folders.claimed(home / "run"))
        async with Supervisor(report=_say) as supervisor:
            stop = asyncio.create_task(_stop_requested())
            start = asyncio.create_task(_start(home, held, supervisor))
            await asyncio.wait({stop, start}, return_when=asyncio.FIRST_COMPLETED)
            if start.done():
                _say(start.result())
                await stop
            start.cancel()
            _say("Stopping.")
    _say(f"Stopped. The data stays in {home}.")


async def _stop_requested() -> None:
    requested = asyncio.Event()
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # nohup has SIGHUP ignored, and means it.
        if signal.getsignal(how) != signal.SIG_IGN or how != signal.SIGHUP:
            asyncio.get_running_loop().add_signal_handler(how, requested.set)
    await requested.wait()


async def _start(home: Path, held: contextlib.ExitStack, supervisor: Supervisor) -> str:
    """Start everything in order; return what to tell the person who did."""
    given = config.load(os.environ, wants=(), dotenv=DOTENV)
    port = given.ingress_port or ports.any_free(given.ingress_host)
    ports.check_free("INGRESS_PORT", given.ingress_host, port)
    environment = {k: v for k, v in dotenv_values(DOTENV).items() if v} | dict(os.environ)
    environment["INGRESS_PORT"] = str(port)

    if not given.database_url:
        postgres = held.enter_context(servers.postgres_server(home))
        _say(f"Starting PostgreSQL on {postgres.data}")
        await supervisor.start(postgres.program)
        environment["DATABASE_URL"] = postgres.url
    if not given.redis_url:
        redis = held.enter_context(servers.redis_server(home))
        _say(f"Starting Redis on {redis.data}")
        await supervisor.start(redis.program)
        environment["REDIS_URL"] = redis.url

    secrets = Keys(home / "keys")
    if not given.webhook_verify_token:
        token = secrets.made_once("webhook-verify-token", keys.word)
        environment["WEBHOOK_VERIFY_TOKEN"] = token
    if not given.token_encryption_keys:
        key = secrets.made_once("token-encryption-key", keys.encryption_key)
        environment["TOKEN_ENCRYPTION_KEYS"] = key
    graph_port = None if given.facebook_app_secrets else ports.any_free("127.0.0.1")
    if graph_port:
        app_secret = secrets.made_once("simulated-app-secret", keys.word)
        environment |= {
            "FACEBOOK_APP_ID": "1001001001001001",
            "FACEBOOK_APP_SECRET": app_secret,
            "GRAPH_API_URL": ports.url("127.0.0.1", graph_port),
            "GRAPH_PAGE_CALLS_PER_SECOND": "0",
        }
    settings = config.load(environment, wants=NEEDED)

    await migrate(settings.database_url.reveal())
    product = Product(environment, home / "logs")
    _say("Starting the workers and the ingress")
    await supervisor.start(product.worker("ingest"))
    await supervisor.start(product.worker("jobs"))
    await supervisor.start(product.ingress(given.ingress_host, port))
    if graph_port:
        _say("Starting a simulated Facebook")
        await supervisor.start(product.simulator(graph_port))
    return "Pagewire runs."


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
