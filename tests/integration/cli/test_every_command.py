"""What holds for every command: help that helps, three lines of error, honest exit codes."""

import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys

import pytest
from cyclopts import App

from ingress.cli.app import app
from tests.integration.cli.called import CANARY, ROOT, Command


def commands(within: App = app, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command there is, by the words that call it."""
    names = [name for name in within if not name.startswith("-")]
    return [leaf for name in names for leaf in commands(within[name], (*path, name))] or [path]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
async def test_the_help_has_an_example_that_is_understood(
    run: Command, command: tuple[str, ...]
) -> None:
    shown = await run(*command, "--help")
    assert shown.status == 0
    examples = re.findall(r"^ +pagewire (.*)$", shown.out, re.MULTILINE)
    assert examples
    for example in examples:
        words = shlex.split(example)
        app.parse_args(words, exit_on_error=False, print_error=False)
        assert tuple(words[: len(command)]) == command


@pytest.mark.parametrize("command", commands(), ids=" ".join)
async def test_a_program_can_read_what_every_command_says(
    run: Command, command: tuple[str, ...]
) -> None:
    has_json = "--json" in (await run(*command, "--help")).out
    assert has_json or command == ("run",)  # which becomes another program


def test_the_shell_completes_commands_and_their_options(tmp_path) -> None:
    (tmp_path / "completion").write_text(app.generate_completion(shell="bash"))

    def completed(*words: str) -> list[str]:
        line = f"COMP_WORDS=(pagewire {shlex.join(words)}); COMP_CWORD={len(words)}"
        done = subprocess.run(
            ["bash", "-c", f'source completion; {line}; _pagewire; echo "${{COMPREPLY[@]}}"'],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    assert completed("mig") == ["migrate"]
    assert "subscribe" in completed("page", "")
    assert completed("sync", "--fu") == ["--full"]


@pytest.mark.parametrize(
    ("mistake", "meant"),
    [
        ("pge", "page"),
        ("page lst", "list"),
        ("page add 1 --nam x", "--name"),
        ("migrat", "migrate"),
    ],
)
async def test_a_slip_is_guessed(run: Command, mistake: str, meant: str) -> None:
    ended = await run(*mistake.split())
    assert (ended.status, ended.out) == (2, "")
    assert "Did you mean" in ended.err
    assert meant in ended.err


async def test_a_secret_in_the_wrong_place_is_not_repeated(run: Command) -> None:
    for mistake in (["page", "show", CANARY], [CANARY], ["page", "add", CANARY, "--name", "x"]):
        ended = await run(*mistake)
        assert ended.status != 0
        assert CANARY not in ended.err


async def test_what_nobody_foresaw_is_three_lines_and_a_traceback_only_on_request(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise RuntimeError(f"with {CANARY} in it")

    monkeypatch.setattr("ingress.cli.configuration.settings", break_down)
    ended = await run("page", "list")
    assert (ended.status, len(ended.err.splitlines())) == (1, 3)
    assert "RuntimeError" in ended.err
    assert CANARY not in ended.err
    assert "Traceback" in (await run("page", "list", "--debug")).err


async def test_the_process_ends_as_the_command_does(spawn: Command) -> None:
    usage = await spawn("page", "add", "1", CANARY, "--name", "x")
    assert (usage.status, usage.out) == (2, "")
    failed = await spawn("page", "list", DATABASE_URL="postgresql://127.0.0.1:1/x")
    assert (failed.status, failed.out) == (1, "")


async def test_colours_are_for_terminals_only(spawn: Command) -> None:
    assert "\x1b" not in (await spawn("config")).out
    forced = await spawn("config", FORCE_COLOR="1", TERM="xterm")
    assert "\x1b" in forced.out
    assert "\x1b[3" not in (await spawn("config", NO_COLOR="1", FORCE_COLOR="1")).out


async def test_a_reader_that_has_enough_is_no_error(tmp_path) -> None:
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", '"$0" -m ingress.cli config --json | true; exit ${PIPESTATUS[0]}'),
        sys.executable,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")


async def test_ctrl_c_ends_a_command_with_130(tmp_path) -> None:
    os.mkfifo(tmp_path / "token")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ingress.cli", "page", "add", "1", "--name", "x"),
        *("--token-file", "token"),
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    # The command opens its end of the pipe and waits there for a token that never comes.
    writer = await asyncio.to_thread(os.open, tmp_path / "token", os.O_WRONLY)
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    os.close(writer)
    assert (process.returncode, err) == (130, b"")
