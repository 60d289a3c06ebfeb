"""The commands there are, and how each of them ends.

Their modules import the clients of Redis and Graph where they are used, so that a command starts
quickly.
"""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from cyclopts import App, CycloptsError

from ingress.cli import dead, key, page, token
from ingress.cli.config import config
from ingress.cli.doctor import doctor
from ingress.cli.erase import erase
from ingress.cli.migrate import migrate
from ingress.cli.problem import INTERRUPTED, OK, Problem, explain, usage
from ingress.cli.replay import replay
from ingress.cli.run import run
from ingress.cli.sync import sync
from ingress.cli.tail import tail
from ingress.cli.verify import verify


def _version() -> str:
    try:
        return version("pagewire")
    except PackageNotFoundError:
        return "not installed, run from its folder"


app = App(
    name="pagewire",
    help=(
        "Keep every conversation of your Facebook Pages in your own Postgres.\n\n"
        "Results go to stdout, notes and errors to stderr. Exit codes: 0 done, 1 failed, 2 wrong"
        " usage, 3 not healthy, 130 interrupted. --debug shows where an error comes from."
    ),
    help_format="plaintext",
    version=_version,
    suppress_keyboard_interrupt=False,
)
app.register_install_completion_command()
app.command(run)
app.command(migrate)
app.command(page.app)
app.command(sync)
app.command(verify)
app.command(dead.app)
app.command(key.app)
app.command(token.app)
app.command(replay)
app.command(erase)
app.command(tail)
app.command(doctor)
app.command(config)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in tokens
    if debug:
        tokens.remove("--debug")
    try:
        result = app(tokens, print_error=False, exit_on_error=False, result_action="return_value")
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough; nothing more can be written, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except CycloptsError as error:
        return _tell(usage(error), debug=debug)
    except Exception as error:
        return _tell(explain(error), debug=debug)
    return result if isinstance(result, int) else OK


def _tell(problem: Problem, *, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    print(problem, file=sys.stderr)
    return problem.status
