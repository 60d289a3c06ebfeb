"""The command line: `python -m deploy.simulator --help`."""

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
from typing import get_args, get_type_hints

import msgspec
from msgspec import Struct, structs

from deploy.simulator import Config, Modes, Simulator
from deploy.simulator.config import descriptions

VARIABLE = "SIMULATOR_"
"""What the names of settings begin with in the environment."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line: an option for each setting and each mode."""
    made = argparse.ArgumentParser(
        prog="python -m deploy.simulator",
        usage="%(prog)s [options]",
        description="Facebook, offline: serves the Graph API and sends webhooks, from one truth.",
        epilog="What is secret is better told by the environment, which nobody else can read: "
        f"{VARIABLE}APP_SECRET stands for --app-secret, and so on. Modes can be changed later at "
        "/_simulator/modes; /_simulator/ lists what else can be asked, changed and made to happen.",
    )
    _add(made, "settings", Config())
    made.set_defaults(
        **{
            name: os.environ[VARIABLE + name.upper()]
            for name in descriptions(Config)
            if VARIABLE + name.upper() in os.environ
        }
    )
    _add(made, "modes", Modes())
    return made


def _add(made: argparse.ArgumentParser, title: str, defaults: Struct) -> None:
    group, hints = made.add_argument_group(title), get_type_hints(type(defaults))
    for name, text in descriptions(type(defaults)).items():
        option, default = f"--{name.replace('_', '-')}", getattr(defaults, name)
        if isinstance(default, bool):
            group.add_argument(option, action="store_true", help=text)
        else:
            choices = get_args(hints[name]) or None
            told = f"{text} (default: {default})" if default != "" else text
            group.add_argument(
                option,
                choices=choices,
                metavar=None if choices else "X",
                default=default,
                help=told,
            )


def configure(arguments: list[str]) -> Config:
    """Read the command line; argparse ends the program where it makes no sense."""
    made = parser()
    given = vars(made.parse_args(arguments))
    modes = {name: given.pop(name) for name in Modes.__struct_fields__}
    try:
        config = msgspec.convert(given, Config, strict=False)
        return structs.replace(config, modes=msgspec.convert(modes, Modes, strict=False))
    except msgspec.ValidationError as error:
        made.error(str(error))


async def serve(config: Config) -> None:
    """Run until SIGTERM or SIGINT; print one line of JSON when ready."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    simulator = Simulator(config)
    # The truth only grows: the collector need not walk over it again and again.
    gc.freeze()
    async with simulator:
        ready = {"ready": simulator.url, "control": f"{simulator.url}/_simulator/"}
        print(json.dumps(ready), flush=True)  # noqa: T201 - stdout is for whoever waits for it
        await stop.wait()
        if simulator.webhooks.visible:
            print(simulator.webhooks.visible.report(), flush=True)  # noqa: T201


def main() -> None:
    """Start the simulator."""
    config = configure(sys.argv[1:])
    try:
        asyncio.run(serve(config))
    except OSError as error:
        sys.exit(f"Cannot listen on {config.host} port {config.port}: {error.strerror}")


if __name__ == "__main__":
    main()
