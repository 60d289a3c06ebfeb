"""The command line: `python -m deploy.simulator --help`."""

import argparse
import asyncio
import json
import signal
import sys
from typing import Any

import msgspec
from msgspec import Struct, structs

from deploy.simulator import Config, Modes, Simulator

HELP = {
    "host": "address to listen on",
    "port": "port to listen on; 0 takes a free one",
    "seed": "the same seed gives the same Pages, people and messages",
    "start_ms": "milliseconds since the epoch that times count back from (default: now)",
    "pages": "how many Pages",
    "conversations": "Messenger conversations in each Page's inbox",
    "instagram": "Instagram conversations a Page; 0: no Instagram account",
    "other_folders": "further conversations in each of page_done, other, pending and spam",
    "messages": "messages in each conversation at the start",
    "history_days": "how far back the quietest conversation lies",
    "webhook_url": "where webhooks are posted (default: nowhere)",
    "app_id": "the app's id",
    "app_secret": "signs webhooks and checks appsecret_proof",
    "verify_token": "token of the webhook handshake",
    "clock_speed": "how much faster retries, budgets and the hour before unsubscription pass",
    "clock_skew": "seconds by which Facebook's clock runs ahead of ours",
}
MODE_HELP = {
    "since": "what `since` does on the conversations edge",
    "updated_after": "what `updated_after_ms` does from v26.0 on",
    "proof": "whether appsecret_proof is looked at, or required",
    "twenty_messages": "where messages below the 20 newest cannot be read",
    "cursors": "offset: cursors slip when a conversation jumps to the front",
    "cursor_life": "after how many seconds a cursor is refused; 0: never",
    "trailing_next": "let a full last slice have a `next` that leads to an empty one",
    "latency": "seconds every request takes at least",
    "max_cost": "rows times nested rows above which data must be reduced; 0: no limit",
    "page_calls_per_second": "conversation calls a second for each Page; 0: no limit",
    "messenger_budget": "calls in a window for each Page; 0: no limit",
    "app_budget": "calls in a window for the app; 0: no limit",
    "budget_window": "length of that window in seconds",
    "drop": "share of webhooks never sent",
    "duplicate": "share of webhook bodies sent twice",
    "delay": "share of webhook bodies sent late",
    "delay_seconds": "by how much at most",
    "reorder": "share of webhook bodies with their entries shuffled",
    "standby": "share of messages sent as standby",
    "keep_retrying": "retry failed webhooks for 36 hours and never unsubscribe",
    "webhook_timeout": "seconds after which an unanswered webhook counts as failed",
    "events_per_second": "live traffic over all Pages",
    "events_per_post": "at most so many events in one webhook body",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line: one option for each setting and each mode."""
    made = argparse.ArgumentParser(
        prog="python -m deploy.simulator",
        description="Facebook, offline: serves the Graph API and sends webhooks, from one truth.",
        epilog="Everything under `modes` can be changed later at /_simulator/modes; "
        "/_simulator/ lists what else there is.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add(made.add_argument_group("settings"), Config(), HELP)
    _add(made.add_argument_group("modes"), Modes(), MODE_HELP)
    return made


def _add(group: Any, defaults: Struct, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        option, default = f"--{name.replace('_', '-')}", getattr(defaults, name)
        if isinstance(default, bool):
            group.add_argument(
                option, action=argparse.BooleanOptionalAction, help=text, default=default
            )
        else:
            group.add_argument(option, metavar="X", help=text, default=default)


def configure(arguments: list[str]) -> Config:
    """Read the command line; argparse ends the program where it makes no sense."""
    made = parser()
    given = vars(made.parse_args(arguments))
    try:
        modes = msgspec.convert({name: given.pop(name) for name in MODE_HELP}, Modes, strict=False)
        return structs.replace(msgspec.convert(given, Config, strict=False), modes=modes)
    except msgspec.ValidationError as error:
        made.error(str(error))


async def serve(config: Config) -> None:
    """Run until SIGTERM or SIGINT; print one line of JSON when ready."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Simulator(config) as simulator:
        ready = {"ready": simulator.url, "control": f"{simulator.url}/_simulator/"}
        print(json.dumps(ready), flush=True)  # noqa: T201 - stdout is for whoever waits for it
        await stop.wait()


def main() -> None:
    """Start the simulator."""
    config = configure(sys.argv[1:])
    try:
        asyncio.run(serve(config))
    except OSError as error:
        sys.exit(f"Cannot listen on {config.host}:{config.port}: {error.strerror}")


if __name__ == "__main__":
    main()
