"""What a person is told when a command fails: what, why, and what to do, in three lines."""

from inspect import signature

from cyclopts import CycloptsError, UnknownOptionError, UnusedCliTokensError

from shared.errors import PagewireError, SettingsError

OK, FAILED, USAGE, UNHEALTHY, INTERRUPTED = 0, 1, 2, 3, 130

INSTEAD = "Give a token by --token-file FILE (- is standard input), or in PAGE_ACCESS_TOKEN."


class Problem(PagewireError):
    """An ending of a command that is told and not traced; `status` is the exit code."""

    def __init__(self, what: str, why: str = "", todo: str = "", *, status: int = FAILED) -> None:
        from shared.log import redact

        self.status, self.why, self.todo = status, why or what, todo
        lines = (("error: ", what), ("  why: ", why), ("  try: ", todo))
        super().__init__("\n".join(head + redact(text) for head, text in lines if text))


def usage(error: CycloptsError) -> Problem:
    """Return what to tell of a command line nobody can follow, repeating no secret from it."""
    command = " ".join(["pagewire", *(error.command_chain or ())])
    help_of = f"`{command} --help` shows how it is used."
    if _may_be_a_token(error):
        return Problem(
            f"`{command}` takes no token as an argument.",
            "Others on this machine could read it, and the shell keeps it in its history.",
            INSTEAD,
            status=USAGE,
        )
    if isinstance(error, UnusedCliTokensError):
        extra = len(error.unused_tokens or ())
        return Problem(f"`{command}` has {extra} too many arguments.", todo=help_of, status=USAGE)
    error.verbose = False
    return Problem(str(error), todo=help_of, status=USAGE)


def _may_be_a_token(error: CycloptsError) -> bool:
    """Tell whether what a command does not know may be a token it was given the wrong way."""
    if isinstance(error, UnknownOptionError):
        return "token" in (error.token.keyword or "")
    takes_token = error.target and "token_file" in signature(error.target).parameters
    return bool(takes_token) and isinstance(error, UnusedCliTokensError)


def explain(error: Exception) -> Problem:
    """Return what to tell of an error that ended a command."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, SettingsError):
        return Problem(
            "The settings are not usable.",
            "\n       ".join(error.problems),
            "Set them in the environment or in .env, or start everything here with `make run`;"
            " `pagewire config` shows what is set, and where.",
        )
    if isinstance(error, PagewireError):
        return Problem(str(error))
    return Problem(
        f"Something unexpected went wrong: {type(error).__name__}.",
        str(error),
        "Run it again with --debug to see where, and report that.",
    )
